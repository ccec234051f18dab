"""The writing thread of a copy: pieces in, XAPI's sparse stream out, a slice at a time."""

import math
import time

import xxhash

from xo_warmig.disks.budget import Share
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Channel, Piece
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.formats.sparse import END, chunk_header
from xo_warmig.model.passes import SentPiece


class SparseWriter:
    """Sends the pieces of a channel and gives their buffers back. Keeps the piece that begins the next slice, between slices."""

    def __init__(self, channel: Channel[Piece], share: Share, order: CopyOrder, sent: SentLog, meter: Meter) -> None:
        self._channel = channel
        self._share = share
        self._slice_bytes = order.slice_bytes or math.inf
        self._slice_seconds = order.slice_seconds or math.inf
        self._sent = sent
        self._meter = meter
        self._kept: Piece | None = None

    def write_slice(self, sink: ByteSink) -> bool:
        """Send pieces until the slice is full, and the end marker; True when more pieces follow.

        Raises TransferError, or Closed when the reader failed.
        """
        began, slice_bytes = time.monotonic(), 0
        while (piece := self._next()) is not None:
            seconds = time.monotonic() - began
            if slice_bytes and (slice_bytes >= self._slice_bytes or seconds >= self._slice_seconds):
                self._kept = piece
                break
            try:
                slice_bytes += self._send(sink, piece)
            finally:
                self._share.give_back(piece.buffer)
        sink.writev([END])
        return piece is not None

    def give_up(self) -> None:
        """Nothing more will be sent."""
        if self._kept is not None:
            self._share.give_back(self._kept.buffer)
            self._kept = None

    def _next(self) -> Piece | None:
        kept, self._kept = self._kept, None
        return self._channel.get() if kept is None else kept

    def _send(self, sink: ByteSink, piece: Piece) -> int:
        view = memoryview(piece.buffer)
        buffers: list[bytes | memoryview] = []
        count_bytes = 0
        for offset, start, length in piece.parts:
            buffers.append(chunk_header(offset, length))
            buffers.append(view[start : start + length])
            count_bytes += length
        if buffers:
            sink.writev(buffers)
        self._sent.add(self._hashed(piece, view) if self._sent.wants_hashes(piece.reached) else (), piece.reached)
        self._meter.wrote(count_bytes)
        return count_bytes

    @staticmethod
    def _hashed(piece: Piece, view: memoryview) -> list[SentPiece]:
        return [
            SentPiece(offset, length, xxhash.xxh3_64_intdigest(view[start : start + length]))
            for offset, start, length in piece.parts
        ]
