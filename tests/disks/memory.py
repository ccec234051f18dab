"""Streams and disks in memory."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from xo_warmig.disks.admission import BUDGET, Admission
from xo_warmig.disks.budget import MOST_COPIES, MOST_IN_ALL
from xo_warmig.disks.streams import ByteSink
from xo_warmig.errors import TransferError
from xo_warmig.formats.sparse import SparsePiece, sparse_reader
from xo_warmig.formats.vhd import BLOCK_BYTES, Parent, VhdWriter
from xo_warmig.model.units import MIB

SIZE = 16 * MIB
UNIQUE = UUID(int=7)
PARENT = Parent(unique_id=UUID(int=8), name="base", timestamp=0)


def budget_is_whole() -> bool:
    """Every buffer was given back, and every place."""
    places = [BUDGET.enter() for _ in range(MOST_COPIES)]
    shares = [place.result(timeout=1) for place in places]
    each = MOST_IN_ALL // MOST_COPIES
    for share, taken in [(share, [share.take() for _ in range(each)]) for share in shares]:
        for buffer in taken:
            share.give_back(buffer)
        share.leave()
    return BUDGET._left == BUDGET._to_lend


@contextmanager
def admitted() -> Iterator[Admission]:
    """One copy's."""
    admission = Admission()
    try:
        yield admission
    finally:
        admission.leave()


class MemorySource:
    """A stream that was recorded; ``hang`` makes it block at its end until it is closed."""

    apart = False

    def __init__(self, data: bytes, *, hang: bool = False) -> None:
        self._data, self._at = memoryview(data), 0
        self._closed = threading.Event()
        self._hang = hang

    def readinto(self, view: memoryview) -> int:
        part = self._data[self._at : self._at + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        if len(part) < len(view) and self._hang:
            self._closed.wait(10)
            raise TransferError("closed", evidence={"side": "source"})
        return len(part)

    def close(self) -> None:
        self._closed.set()


class MemorySink:
    """Keeps what it is sent; ``breaks_after`` bytes it fails."""

    apart = False

    def __init__(self, *, breaks_after: int | None = None) -> None:
        self.data = bytearray()
        self.closed = False
        self._breaks_after = breaks_after

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        for buffer in buffers:
            self.data += buffer
        if self._breaks_after is not None and len(self.data) > self._breaks_after:
            raise TransferError("the target hung up", evidence={"side": "target"})

    def close(self) -> None:
        self.closed = True

    @property
    def ended(self) -> bool:
        return bytes(self.data).endswith(bytes(12))

    def pieces(self) -> list[SparsePiece]:
        reader = sparse_reader(SIZE)
        pieces = reader.feed(bytes(self.data))
        assert reader.done
        assert reader.unused == b""
        return pieces

    def disk(self, content: bytes = bytes(SIZE)) -> bytes:
        """``content`` after the sent pieces were written over it."""
        disk = bytearray(content)
        for offset, data in self.pieces():
            disk[offset : offset + len(data)] = data
        return bytes(disk)


def content(blocks: Sequence[int], *, zero_from: int = BLOCK_BYTES) -> bytes:
    """A disk with random data in these blocks, zeros in each from ``zero_from`` on."""
    disk = bytearray(SIZE)
    for block in blocks:
        data = random.Random(block).randbytes(zero_from)
        disk[block * BLOCK_BYTES : block * BLOCK_BYTES + zero_from] = data
    return bytes(disk)


def vhd(disk: bytes, blocks: Sequence[int], *, parent: Parent | None = None) -> bytes:
    writer = VhdWriter(len(disk), blocks, unique_id=UNIQUE, parent=parent)
    return b"".join(writer.stream(lambda block: disk[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]))


class MemorySinks:
    """Gives these sinks one after the other, and keeps the list of blocks."""

    def __init__(self, sinks: Sequence[MemorySink]) -> None:
        self.blocks = b""
        self.given = 0
        self._sinks = sinks

    async def first(self, blocks: bytes) -> ByteSink:
        assert not any(sink.data for sink in self._sinks)
        self.blocks = blocks
        return await self.next()

    async def next(self) -> ByteSink:
        assert all(sink.ended for sink in self._sinks[: self.given])
        self.given += 1
        return self._sinks[self.given - 1]
