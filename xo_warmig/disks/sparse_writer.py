"""The writing thread of a copy: pieces in, XAPI's sparse stream out."""

from xo_warmig.disks.meter import Meter
from xo_warmig.disks.pipe import Budget, Channel, Piece
from xo_warmig.disks.streams import ByteSink
from xo_warmig.formats.sparse import END, chunk_header


def write_sparse(sink: ByteSink, channel: Channel[Piece], budget: Budget, *, meter: Meter) -> None:
    """Send each piece's extents and give its buffer back; after the last piece, the end marker.

    Raises TransferError, or Closed when the reader failed.
    """
    while (piece := channel.get()) is not None:
        try:
            _send(sink, piece, meter)
        finally:
            budget.give_back(piece.buffer)
    sink.writev([END])


def _send(sink: ByteSink, piece: Piece, meter: Meter) -> None:
    view = memoryview(piece.buffer)
    buffers: list[bytes | memoryview] = []
    count_bytes = 0
    for extent in piece.extents:
        buffers.append(chunk_header(piece.offset + extent.offset, extent.length))
        buffers.append(view[extent.offset : extent.end])
        count_bytes += extent.length
    if buffers:
        sink.writev(buffers)
    meter.wrote(count_bytes)
