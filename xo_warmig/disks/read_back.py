"""Reading a target disk back from a VHD export: whether it holds what was sent to it.

After a break that is asked for the pieces sent last, where a copy wants to go on (R22); after a pass for all of its blocks, or for
those at the export's head.
"""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from xo_warmig.disks.block_hashes import digest, hashes_of
from xo_warmig.disks.blocks import blocks_of, count_between, in_both, without
from xo_warmig.disks.streams import ByteSource
from xo_warmig.disks.take import Take
from xo_warmig.disks.threads import in_thread
from xo_warmig.errors import FormatError
from xo_warmig.formats.bitmaps import Run, set_runs, with_bits_set
from xo_warmig.formats.vhd import BLOCK_BYTES, BlockPlace, layout_reader, sector_extents
from xo_warmig.model.passes import SentPiece

_NOTHING = bytes(BLOCK_BYTES)


class Comparison(StrEnum):
    """``too_much``: the disk was not read, as what is to be compared lies behind more bytes than may be read for it."""

    EQUAL = "equal"
    DIFFERENT = "different"
    TOO_MUCH = "too_much"


class Difference(NamedTuple):
    """``length`` bytes from ``offset`` of the disk have not the hash that was ``expected``."""

    offset: int
    length: int
    expected: int
    found: int


class Checked(NamedTuple):
    """So many pieces were compared, for which so many bytes of the disk were read; the first ``difference``, after which nothing was."""

    pieces: int
    read_bytes: int
    difference: Difference | None = None


class Wanted(Protocol):
    """What a disk is expected to hold."""

    def blocks(self) -> bytes:
        """The 2 MiB blocks of which something is wanted, as a list of ``disks.blocks``."""
        ...

    def of(self, block: int) -> Sequence[SentPiece]:
        """The pieces in a block."""
        ...


class PieceList:
    """Some pieces, none of which crosses a block. Fits ``Wanted``."""

    def __init__(self, pieces: Sequence[SentPiece]) -> None:
        self._by_block: dict[int, list[SentPiece]] = defaultdict(list)
        for piece in pieces:
            self._by_block[piece.offset // BLOCK_BYTES].append(piece)

    def blocks(self) -> bytes:
        """See ``Wanted``."""
        count = max(self._by_block, default=-1) + 1
        return with_bits_set(-(-count // 8), (Run(block, 1) for block in self._by_block))

    def of(self, block: int) -> Sequence[SentPiece]:
        """See ``Wanted``."""
        return self._by_block.get(block, [])


async def compare_vhd(
    source: ByteSource, pieces: Sequence[SentPiece], *, virtual_size_bytes: int, most_bytes: int
) -> Comparison:
    """Read a full VHD export of a disk as far as the last of ``pieces``, and compare their hashes with what is there.

    Raises:
        FormatError: the stream is no VHD, or none of this disk. TransferError: the connection broke.
        asyncio.CancelledError: the stream is closed and the thread has ended.
    """

    def compare() -> Comparison:
        walk = _Walk(Take(source), PieceList(pieces), virtual_size_bytes)
        if walk.bytes_to_last() > most_bytes:
            return Comparison.TOO_MUCH
        return Comparison.EQUAL if walk.to_last().difference is None else Comparison.DIFFERENT

    return await in_thread("read-back", compare, closing=source.close)


async def check_vhd(
    source: ByteSource, wanted: Wanted, *, virtual_size_bytes: int, head_bytes: int | None = None
) -> Checked:
    """Read a full VHD export of a disk as far as the last block that is wanted, and compare what is there until something differs.

    Args:
        head_bytes: no more of its stored blocks are read; of what lies behind them it is only seen that it is stored at all.

    Raises: as ``compare_vhd``.
    """

    def check() -> Checked:
        return _Walk(Take(source), wanted, virtual_size_bytes).to_last(head_bytes)

    return await in_thread("read-back", check, closing=source.close)


class _Walk:
    """An export on its way past what is wanted of it."""

    def __init__(self, take: Take, wanted: Wanted, virtual_size_bytes: int) -> None:
        layout = take.parse(layout_reader())
        if layout.size_bytes != virtual_size_bytes or layout.differencing or layout.block_bytes != BLOCK_BYTES:
            raise FormatError("the target's export is not a full one of the disk that was written", code="WRONG_EXPORT")
        self._take = take
        self._layout = layout
        self._wanted = wanted
        self._blocks = wanted.blocks()
        self._stored = blocks_of(layout)

    def bytes_to_last(self) -> int:
        """How much of blocks comes up to the last that is wanted."""
        return self._count_to_last() * BLOCK_BYTES

    def to_last(self, head_bytes: int | None = None) -> Checked:
        """Compare, the blocks that are not stored first: what the target does not store reads as zeros."""
        pieces = 0
        for first, length in set_runs(without(self._blocks, self._stored)):
            for block in range(first, first + length):
                expected = self._wanted.of(block)
                difference = _difference(_NOTHING, expected)
                pieces += len(expected)
                if difference is not None:
                    return Checked(pieces, 0, difference)
        count = self._count_to_last()
        if head_bytes is not None:
            count = min(count, head_bytes // BLOCK_BYTES)
        return self._read(count, pieces)

    def _read(self, count: int, pieces: int) -> Checked:
        block = bytearray(BLOCK_BYTES)
        for nth, place in zip(range(1, count + 1), self._layout.places(), strict=False):
            expected = self._wanted.of(place.index)
            if not expected:
                continue
            self._fill(place, block)
            difference = _difference(block, expected)
            pieces += len(expected)
            if difference is not None:
                return Checked(pieces, nth * BLOCK_BYTES, difference)
        return Checked(pieces, count * BLOCK_BYTES)

    def _count_to_last(self) -> int:
        """The place in the stream of the last block that is wanted, from 1."""
        left = count_between(in_both(self._blocks, self._stored), 0, self._layout.size_bytes)
        if not left:
            return 0
        for nth, index in enumerate(self._layout.indexes, 1):
            left -= bool(self._blocks[index >> 3] & (0x80 >> (index & 7))) if index >> 3 < len(self._blocks) else 0
            if not left:
                return nth
        return len(self._layout.indexes)

    def _fill(self, place: BlockPlace, block: bytearray) -> None:
        take, layout = self._take, self._layout
        take.skip_to(place.file_offset)
        bitmap = bytearray(place.bitmap_length)
        take.fill(memoryview(bitmap))
        on_disk = layout.disk_extent(place)
        block[:] = _NOTHING
        for offset, length in sector_extents(bitmap, on_disk.offset, on_disk.length):
            start_in_block = offset - on_disk.offset
            take.skip_to(place.data_offset + start_in_block)
            take.fill(memoryview(block)[start_in_block : start_in_block + length])


def _difference(block: bytes | bytearray, pieces: Sequence[SentPiece]) -> Difference | None:
    view = memoryview(block)
    for piece in pieces:
        first = piece.offset % BLOCK_BYTES
        found = digest(hashes_of(view[first : first + piece.length], piece.offset))
        if found != piece.xxh3:
            return Difference(piece.offset, piece.length, piece.xxh3, found)
    return None
