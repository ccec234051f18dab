"""The table of a pass: for each 64 KiB block of a target disk the hash of what was sent, and what follows from that for reading back.

A block without an entry was not written by the pass. Only whole blocks are known: of one that travelled in part (a VHD's bitmap may
leave sectors out) the rest is as it was before, so it is marked as unknown and not compared.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from xo_warmig.disks.block_hashes import NOT_WRITTEN, UNKNOWN
from xo_warmig.formats.bitmaps import Run, with_bits_set
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.extents import Extent, clip
from xo_warmig.model.passes import HASHED_BYTES, SentPiece

_AT_A_TIME = 8192  # entries; 512 MiB of disk
_NOTHING = array("Q", [NOT_WRITTEN] * _AT_A_TIME).tobytes()
_PER_VHD_BLOCK = BLOCK_BYTES // HASHED_BYTES


class BlockTable(Protocol):
    """One pass's table of one disk. Thread-safe. ``begun_at``: what the pass copied below that byte the table does not tell of."""

    @property
    def size_bytes(self) -> int:
        """Of the disk."""
        ...

    @property
    def begun_at(self) -> int: ...

    def put(self, first: int, entries: "array[int]") -> None:
        """The entries of so many blocks, from block ``first`` on."""
        ...

    def get(self, first: int, count: int) -> "array[int]":
        """The entries of so many blocks; ``NOT_WRITTEN`` where there is none."""
        ...

    def cut(self, offset: int) -> None:
        """Forget all from byte ``offset`` of the disk on, a multiple of 64 KiB: it is sent again."""
        ...

    async def sync(self) -> None:
        """All that was put before is durable when this returns."""
        ...

    def close(self) -> None:
        """It is not used any more. May be called twice."""
        ...


class Written(NamedTuple):
    """How many blocks a pass wrote: those that can be compared, and those of which too little is known."""

    known: int
    unknown: int


def chunks(table: BlockTable) -> Iterator[tuple[int, "array[int]"]]:
    """All entries but those of long ranges without any, with the number of their first block."""
    count = -(-table.size_bytes // HASHED_BYTES)
    for first in range(0, count, _AT_A_TIME):
        entries = table.get(first, min(_AT_A_TIME, count - first))
        if entries.tobytes() != _NOTHING[: len(entries) * entries.itemsize]:  # much sooner than by counting entries
            yield first, entries


def written(table: BlockTable) -> Written:
    """By going through the table."""
    known = unknown = 0
    for _, entries in chunks(table):
        unknown_here = entries.count(UNKNOWN)
        unknown += unknown_here
        known += len(entries) - unknown_here - entries.count(NOT_WRITTEN)
    return Written(known, unknown)


def known_extents(table: BlockTable) -> Iterator[Extent]:
    """The known blocks, neighbours joined, ascending."""

    def runs() -> Iterator[Extent]:
        begin, end = 0, 0
        for first, entries in chunks(table):
            for number, entry in enumerate(entries, first):
                if entry > UNKNOWN:
                    if number != end:
                        if end > begin:
                            yield Extent(begin * HASHED_BYTES, (end - begin) * HASHED_BYTES)
                        begin = number
                    end = number + 1
        if end > begin:
            yield Extent(begin * HASHED_BYTES, (end - begin) * HASHED_BYTES)

    return clip(runs(), table.size_bytes)


def extents_of(blocks: Iterable[int], size_bytes: int) -> list[Extent]:
    """Those of single blocks."""
    return list(clip((Extent(number * HASHED_BYTES, HASHED_BYTES) for number in blocks), size_bytes))


class TablePieces:
    """The known blocks of a table as pieces, by 2 MiB block. Fits ``disks.read_back.Wanted``."""

    def __init__(self, table: BlockTable) -> None:
        self._table = table

    def blocks(self) -> bytes:
        """See ``Wanted``."""

        def touched() -> Iterator[Run]:
            for extent in known_extents(self._table):
                first = extent.offset // BLOCK_BYTES
                yield Run(first, -(-extent.end // BLOCK_BYTES) - first)

        return with_bits_set(-(-self._table.size_bytes // BLOCK_BYTES // 8), touched())

    def of(self, block: int) -> Sequence[SentPiece]:
        """See ``Wanted``."""
        first, size = block * _PER_VHD_BLOCK, self._table.size_bytes
        return [
            SentPiece(offset, min(HASHED_BYTES, size - offset), entry)
            for offset, entry in (
                (number * HASHED_BYTES, entry)
                for number, entry in enumerate(self._table.get(first, _PER_VHD_BLOCK), first)
            )
            if entry > UNKNOWN
        ]
