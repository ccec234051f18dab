"""What is read together: as many extents of a disk as fit into one buffer, wherever they lie. Arithmetic only.

Changed blocks are often small and scattered. Were each buffer one window of the disk, the few of a copy would hold a few requests
between them; packed, they hold enough to keep several connections busy.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from xo_warmig.disks.blocks import whole_disk
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Part
from xo_warmig.formats.bitmaps import Run, with_bits_set
from xo_warmig.formats.nbd import SECTOR_BYTES
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.extents import Extent, split

Extents: TypeAlias = Callable[[], Iterable[Extent]]
"""The extents of a disk to copy, ascending; the same each time that it is called, as they are gone through twice and not kept."""


class Load(NamedTuple):
    """Parts of one buffer, ascending on the disk; ``stored`` ones are to be read, the others are zeros."""

    parts: list[Part]
    stored: bool

    @property
    def length_bytes(self) -> int:
        return sum(part.length for part in self.parts)

    @property
    def reached(self) -> int:
        """Where on the disk the last part ends."""
        return self.parts[-1].end


class Survey(NamedTuple):
    """What a list of extents comes to: the 2 MiB blocks that it touches, its bytes, and how many of them were copied before."""

    blocks: bytes
    total_bytes: int
    below_bytes: int


def survey(extents: Iterable[Extent], order: CopyOrder) -> Survey:
    """All of the list, also what lies below the order's start.

    Raises ValueError when the extents do not ascend.
    """
    size, total_bytes, below_bytes = order.virtual_size_bytes, 0, 0

    def touched() -> Iterator[Run]:
        nonlocal total_bytes, below_bytes
        for extent in whole_sectors(extents, size):
            total_bytes += extent.length
            below_bytes += max(0, min(extent.end, order.start_offset) - extent.offset)
            first = extent.offset // BLOCK_BYTES
            yield Run(first, -(-extent.end // BLOCK_BYTES) - first)

    blocks = with_bits_set(len(whole_disk(size)), touched())
    return Survey(whole_disk(size) if order.zero_unallocated else blocks, total_bytes, below_bytes)


def loads(extents: Iterable[Extent], order: CopyOrder) -> Iterator[Load]:
    """What is to be copied from the order's start on, in the order of the disk; the gaps as zeros where they are to be sent."""
    packing = _Packing(order.piece_bytes)
    for extent, stored in _in_order(extents, order):
        if stored:
            yield from packing.add(extent)
            continue
        yield from packing.rest()
        for zeros in split([extent], order.piece_bytes):
            yield Load([Part(zeros.offset, 0, zeros.length)], stored=False)
    yield from packing.rest()


def whole_sectors(extents: Iterable[Extent], size_bytes: int) -> Iterator[Extent]:
    """The sectors that the extents touch, each once, up to the end of the disk; ascending.

    Raises ValueError when the extents do not ascend.
    """
    begin = done = 0
    for extent in extents:
        if extent.offset < begin:
            raise ValueError(f"{extent} lies before its predecessor's end, {begin}")
        begin = extent.end
        start = max(done, extent.offset - extent.offset % SECTOR_BYTES)
        end = min(size_bytes, -(-extent.end // SECTOR_BYTES) * SECTOR_BYTES)
        if extent.length > 0 and start < end:
            done = end
            yield Extent(start, end - start)


def _in_order(extents: Iterable[Extent], order: CopyOrder) -> Iterator[tuple[Extent, bool]]:
    """From the order's start on: each extent, and each gap where that is to be zeroed."""
    at = order.start_offset
    for extent in whole_sectors(extents, order.virtual_size_bytes):
        start = max(extent.offset, order.start_offset)
        if start >= extent.end:
            continue
        if order.zero_unallocated and at < start:
            yield Extent(at, start - at), False
        at = extent.end
        yield Extent(start, extent.end - start), True
    if order.zero_unallocated and at < order.virtual_size_bytes:
        yield Extent(at, order.virtual_size_bytes - at), False


class _Packing:
    """The load that is being put together."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._parts: list[Part] = []
        self._filled = 0

    def add(self, extent: Extent) -> Iterator[Load]:
        """The loads that became full."""
        for offset, length in split([extent], BLOCK_BYTES):
            left = length
            while left:
                taken = min(left, self._most_bytes - self._filled)
                self._parts.append(Part(offset + length - left, self._filled, taken))
                self._filled += taken
                left -= taken
                if self._filled == self._most_bytes:
                    yield from self.rest()

    def rest(self) -> Iterator[Load]:
        """The load as it is, unless there is nothing in it."""
        if self._parts:
            yield Load(self._parts, stored=True)
            self._parts, self._filled = [], 0
