"""The writing thread of a copy: pieces in, XAPI's sparse stream out, a slice at a time."""

import math
import time

from xo_warmig.disks.block_hashes import digest, entries_of, hashes_of
from xo_warmig.disks.budget import Share
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Piece, PieceSource
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.formats.sparse import END, chunk_header
from xo_warmig.model.passes import HASHED_BYTES, SentPiece


class SparseWriter:
    """Sends pieces and gives their buffers back. Keeps the piece that begins the next slice, between slices."""

    def __init__(self, pieces: PieceSource, share: Share, order: CopyOrder, sent: SentLog, meter: Meter) -> None:
        self._pieces = pieces
        self._share = share
        self._size_bytes = order.virtual_size_bytes
        self._slice_bytes = order.slice_bytes or math.inf
        self._slice_seconds = order.slice_seconds or math.inf
        self._sent = sent
        self._meter = meter
        self._kept: Piece | None = None

    def write_slice(self, sink: ByteSink) -> bool:
        """Send pieces until the slice is full, and the end marker; True when more pieces follow.

        Raises TransferError, or what ``PieceSource`` does.
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
        return self._pieces.get() if kept is None else kept

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
        self._note(piece, view)
        self._meter.wrote(count_bytes)
        return count_bytes

    def _note(self, piece: Piece, view: memoryview) -> None:
        """What was sent, and its hashes where somebody will ask for them."""
        table, for_tail = self._sent.table, self._sent.wants_hashes(piece.reached)
        tail: list[SentPiece] = []
        for offset, start, length in piece.parts if for_tail or table is not None else ():
            hashes = hashes_of(view[start : start + length], offset)
            if table is not None:
                table.put(offset // HASHED_BYTES, entries_of(hashes, offset, length, self._size_bytes))
            if for_tail:
                tail.append(SentPiece(offset, length, digest(hashes)))
        self._sent.add(tail, piece.reached)
