"""The reading side of a copy: a VHD export in, pieces of the disk out, each read straight into the buffer that it is sent from."""

from collections.abc import Iterable, Iterator

from xo_warmig.disks.blocks import blocks_of, whole_disk
from xo_warmig.disks.budget import ZEROS, Share
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Piece, Pieces, placed
from xo_warmig.disks.streams import ByteSource
from xo_warmig.disks.take import Take
from xo_warmig.errors import TransferError
from xo_warmig.formats.vhd import BlockPlace, VhdLayout, layout_reader, sector_extents, trailer_reader
from xo_warmig.formats.zeros import nonzero_extents
from xo_warmig.model.extents import Extent, split


class VhdReading:
    """One stream on its way to a writer. Fits ``disks.copy.Reading``."""

    def __init__(self, source: ByteSource, order: CopyOrder, share: Share, meter: Meter) -> None:
        self._source = source
        self._take = Take(source)
        self._order = order
        self._share = share
        self._meter = meter
        self._layout: VhdLayout | None = None
        self._ascending = True

    def begin(self) -> bytes:
        """The blocks of this stream's list, those below the order's start among them. Raises FormatError, TransferError."""
        layout = self._layout = self._take.parse(layout_reader())
        _check(layout, self._order)
        self._ascending = _ascending(layout.indexes)
        self._tell_meter(layout)
        return whole_disk(layout.size_bytes) if self._order.zero_unallocated else blocks_of(layout)

    def pieces(self) -> Pieces:
        """Every piece of the disk from the order's start on, once it was begun. Raises FormatError, TransferError."""
        layout = self._layout
        assert layout is not None
        yield from self._blocks(layout)
        self._take.skip_to(layout.blocks_end)
        self._take.parse(trailer_reader(layout))
        self._meter.total_bytes = self._meter.done_bytes  # blocks may have been stored in part only

    def close(self) -> None:
        """Close the stream; see ``ByteSource``."""
        self._source.close()

    def _tell_meter(self, layout: VhdLayout) -> None:
        order, each = self._order, layout.block_bytes
        below = 0
        if order.start_offset:
            below = sum(min(each, max(0, order.start_offset - index * each)) for index in layout.indexes)
        if order.zero_unallocated:
            self._meter.listed(layout.size_bytes, order.start_offset, order.start_offset - below)
        else:
            overhang = max(0, (max(layout.indexes, default=-1) + 1) * each - layout.size_bytes)
            self._meter.listed(layout.data_bytes - overhang, below, 0)

    def _blocks(self, layout: VhdLayout) -> Pieces:
        at = 0
        if not self._ascending:
            for gap in _gaps(sorted(layout.indexes), layout):
                yield from self._zeros(gap.offset, gap.end)
        for place in layout.places():
            block = layout.disk_extent(place)
            if self._ascending:
                yield from self._zeros(at, block.offset)
                at = block.end
            if block.end > self._order.start_offset:
                yield from self._block(place, block)
        if self._ascending:
            yield from self._zeros(at, layout.size_bytes)

    def _block(self, place: BlockPlace, block: Extent) -> Pieces:
        self._take.skip_to(place.file_offset)
        bitmap = bytearray(place.bitmap_length)
        self._take.fill(memoryview(bitmap))
        at = block.offset
        for extent in split(sector_extents(bitmap, block.offset, block.length), self._order.piece_bytes):
            yield from self._zeros(at, extent.offset)
            at = extent.end
            start = max(extent.offset, self._order.start_offset)
            if start < extent.end:
                self._take.skip_to(place.data_offset + start - block.offset)
                yield self._data(Extent(start, extent.end - start))
        yield from self._zeros(at, block.end)
        self._take.skip_to(place.end)

    def _data(self, extent: Extent) -> Piece:
        buffer = self._share.take()
        try:
            self._take.fill(memoryview(buffer)[: extent.length])
        except BaseException:
            self._share.give_back(buffer)
            raise
        self._meter.read(extent.length)
        whole = [Extent(0, extent.length)]
        wanted = nonzero_extents(buffer, 0, extent.length) if self._order.skip_zeros else whole
        return Piece(buffer, placed(wanted, extent.offset), self._reached(extent))

    def _zeros(self, start: int, end: int) -> Pieces:
        """What the stream has no bytes for from ``start`` to ``end`` of the disk, where it is to be sent."""
        start = max(start, self._order.start_offset)
        if self._order.zero_unallocated and start < end:
            for extent in split([Extent(start, end - start)], self._order.piece_bytes):
                self._meter.made_up(extent.length)
                yield Piece(ZEROS, placed([Extent(0, extent.length)], extent.offset), self._reached(extent))

    def _reached(self, extent: Extent) -> int:
        return extent.end if self._ascending else self._order.start_offset


def _ascending(indexes: Iterable[int]) -> bool:
    """Whether the stream has its blocks in the disk's order, as all of XAPI's have."""
    before = -1
    for index in indexes:
        if index < before:
            return False
        before = index
    return True


def _gaps(indexes: list[int], layout: VhdLayout) -> Iterator[Extent]:
    """The parts of the disk between these blocks."""
    at = 0
    for index in indexes:
        yield Extent(at, index * layout.block_bytes - at)
        at = (index + 1) * layout.block_bytes
    yield Extent(at, layout.size_bytes - at)


def _check(layout: VhdLayout, order: CopyOrder) -> None:
    if layout.size_bytes != order.virtual_size_bytes:
        raise TransferError(
            f"the source sends a disk of {layout.size_bytes} bytes where one of {order.virtual_size_bytes} was planned",
            code="DISK_RESIZED",
            evidence={"side": "source", "actual": layout.size_bytes, "expected": order.virtual_size_bytes},
            remedy="Start the migration again: its plan no longer fits the disk.",
        )
    if layout.differencing != order.differencing:
        raise TransferError(
            "the source sends a full export where a difference was asked for"
            if order.differencing
            else "the source sends a difference where a full export was asked for",
            code="WRONG_EXPORT",
            evidence={"side": "source", "differencing": layout.differencing},
            remedy="Start the migration again: the base of this pass can no longer be used.",
        )
