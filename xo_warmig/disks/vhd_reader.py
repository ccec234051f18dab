"""The reading thread of a copy: a VHD export in, pieces of the disk out, each read straight into the buffer that it is sent from."""

from typing import NamedTuple, TypeVar

from xo_warmig.disks.meter import Meter
from xo_warmig.disks.pipe import BUFFER_BYTES, Budget, Channel, Piece
from xo_warmig.disks.streams import ByteSource
from xo_warmig.errors import TransferError
from xo_warmig.formats.stream import Reader
from xo_warmig.formats.vhd import BlockPlace, VhdLayout, layout_reader, sector_extents, trailer_reader
from xo_warmig.formats.zeros import nonzero_extents
from xo_warmig.model.extents import Extent, split

V = TypeVar("V")
R = TypeVar("R")


class VhdExpectation(NamedTuple):
    """What the stream has to be: a disk resized meanwhile (R14), or a full export in place of a difference (R12), is refused."""

    virtual_size_bytes: int
    differencing: bool


def read_vhd(
    source: ByteSource,
    expected: VhdExpectation,
    channel: Channel[Piece],
    budget: Budget,
    *,
    skip_zeros: bool,
    meter: Meter,
) -> None:
    """Put every piece of the disk into ``channel``, and its end after the last.

    Raises FormatError, TransferError, or Closed when the writer failed.
    """
    take = _Take(source)
    layout = take.parse(layout_reader())
    _check(layout, expected)
    meter.total_bytes = layout.data_bytes
    for place in layout.places():
        take.skip_to(place.file_offset)
        for extent in _block_extents(take, layout, place):
            take.skip_to(place.data_offset + extent.offset - layout.disk_extent(place).offset)
            buffer = budget.take()
            try:
                take.fill(memoryview(buffer)[: extent.length])
                wanted = nonzero_extents(buffer, 0, extent.length) if skip_zeros else [Extent(0, extent.length)]
                channel.put(Piece(buffer, extent.offset, wanted))
            except BaseException:
                budget.give_back(buffer)
                raise
            meter.read(extent.length)
        take.skip_to(place.end)
    take.parse(trailer_reader(layout))
    channel.end()


def _block_extents(take: "_Take", layout: VhdLayout, place: BlockPlace) -> list[Extent]:
    bitmap = bytearray(place.bitmap_length)
    take.fill(memoryview(bitmap))
    block = layout.disk_extent(place)
    return list(split(sector_extents(bitmap, block.offset, block.length), BUFFER_BYTES))


def _check(layout: VhdLayout, expected: VhdExpectation) -> None:
    if layout.size_bytes != expected.virtual_size_bytes:
        raise TransferError(
            f"the source sends a disk of {layout.size_bytes} bytes where one of {expected.virtual_size_bytes} was planned",
            code="DISK_RESIZED",
            evidence={"side": "source", "actual": layout.size_bytes, "expected": expected.virtual_size_bytes},
            remedy="Start the migration again: its plan no longer fits the disk.",
        )
    if layout.differencing != expected.differencing:
        raise TransferError(
            "the source sends a full export where a difference was asked for"
            if expected.differencing
            else "the source sends a difference where a full export was asked for",
            code="WRONG_EXPORT",
            evidence={"side": "source", "differencing": layout.differencing},
            remedy="Start the migration again: the base of this pass can no longer be used.",
        )


class _Take:
    """Takes from a stream exactly what is asked for, and knows how far it is."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0
        self._scrap = bytearray(64 * 1024)

    def fill(self, view: memoryview) -> None:
        """Fill all of ``view``."""
        count_bytes = self._source.readinto(view)
        self._position += count_bytes
        if count_bytes < len(view):
            raise TransferError(
                f"the source's stream ends at byte {self._position}, in the middle of the disk",
                evidence={"side": "source", "bytes": self._position},
                remedy="The pool's task says why, where it still stands. The pass can be repeated.",
            )

    def skip_to(self, position: int) -> None:
        """Drop bytes up to ``position`` of the stream."""
        while self._position < position:
            self.fill(memoryview(self._scrap)[: min(len(self._scrap), position - self._position)])

    def parse(self, reader: Reader[V, R]) -> R:
        """Feed a parser just what it asks for."""
        while not reader.done:
            wanted = bytearray(min(reader.wanted, BUFFER_BYTES))
            self.fill(memoryview(wanted))
            reader.feed(wanted)
        return reader.result
