"""The one copy loop: a VHD export or extents over NBD in, XAPI's sparse stream out, with a bounded number of bytes between them.

A thread writes, a new one for each slice, so that an import can be ended, confirmed and opened anew while the source stands open. It
reads as well, or takes what connections' threads have read; but where a stream takes a thread's time (``ByteSource.apart``), one reads,
or takes, and one writes.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

from xo_warmig.disks.admission import Admission
from xo_warmig.disks.budget import LEAST_PER_COPY, Share
from xo_warmig.disks.extent_reader import ExtentReading
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Channel, Closed, Inline, Piece, Pieces, PieceSource, feed
from xo_warmig.disks.reads import DiskLanes
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.sparse_writer import SparseWriter
from xo_warmig.disks.streams import ByteSink, ByteSource
from xo_warmig.disks.threads import first_of, settled, start
from xo_warmig.disks.vhd_reader import VhdReading
from xo_warmig.errors import TransferError


class Sinks(Protocol):
    """Where a copy gets its sinks from. What a method raises ends the copy."""

    async def first(self, blocks: bytes) -> ByteSink:
        """The stream's list of ``blocks`` is known and nothing was sent: see that it is stored (R18), then give the first sink."""
        ...

    async def next(self) -> ByteSink:
        """A sink has got its end marker, and there is more to send: see its bytes confirmed (R22), then give another."""
        ...


class Reading(Protocol):
    """A source on its way to a writer."""

    def begin(self) -> bytes:
        """The list of blocks. Blocks."""
        ...

    def pieces(self) -> Pieces:
        """After that. Blocks, in any thread, but in one at a time."""
        ...

    def close(self) -> None:
        """Close the source. May be called twice, and from another thread: whoever waits for a piece then raises."""
        ...


Begin: TypeAlias = Callable[[Share], Reading]
Apart: TypeAlias = Callable[
    [ByteSink], bool
]  # whether reading is for a thread of its own, beside one that writes there


class CopyResult(NamedTuple):
    """What was moved. ``read_bytes`` of disk content came, ``written_bytes`` of it were sent."""

    read_bytes: int
    written_bytes: int
    transfer_seconds: float


async def copy_vhd(
    source: ByteSource, sinks: Sinks, order: CopyOrder, *, sent: SentLog, meter: Meter, admission: Admission
) -> CopyResult:
    """Copy every block of the VHD stream ``source`` into sparse streams, the end marker of the last one included.

    The bytes of that one are not confirmed: that is for the target's task to say (R22). All buffers were given back to the share of
    ``admission`` when this returns or raises; it enters where that was not done.

    Raises:
        FormatError: the source sends no VHD. TransferError: not the one that was expected, or a connection broke; ``evidence`` has the
            ``side``. What ``sinks`` raises.
        asyncio.CancelledError: both streams are closed and both threads have ended.
    """

    def begin(share: Share) -> Reading:
        return VhdReading(source, order, share, meter)

    def apart(sink: ByteSink) -> bool:
        return source.apart or sink.apart

    return await _copy(begin, apart, sinks, order, sent, meter, admission)


async def copy_extents(
    lanes: DiskLanes,
    extents: Extents,
    sinks: Sinks,
    order: CopyOrder,
    *,
    sent: SentLog,
    meter: Meter,
    admission: Admission,
) -> CopyResult:
    """Copy these extents of a disk, read over all of the connections ``lanes``, as ``copy_vhd`` does with a stream's blocks.

    Nothing says whether the extents are a difference, so ``order.differencing`` does not matter: they are what is to be copied.
    The connections are closed when this returns or raises.
    """

    def begin(share: Share) -> Reading:
        return ExtentReading(lanes, extents, order, share, meter)

    def apart(sink: ByteSink) -> bool:
        return sink.apart

    return await _copy(begin, apart, sinks, order, sent, meter, admission)


async def _copy(
    begin: Begin, apart: Apart, sinks: Sinks, order: CopyOrder, sent: SentLog, meter: Meter, admission: Admission
) -> CopyResult:
    share = await admission.enter()
    copying = _Copying(begin(share), order, share, sent, meter)
    try:
        await copying.run(sinks, apart)
    except BaseException as why:
        await copying.stop()
        raise copying.root_cause(why) from None
    return CopyResult(meter.read_bytes, meter.written_bytes, meter.transfer_seconds)


class _Copying:
    """A running copy: its threads, and what they have in their hands."""

    def __init__(self, reading: Reading, order: CopyOrder, share: Share, sent: SentLog, meter: Meter) -> None:
        self._reading = reading
        self._pieces = reading.pieces()
        self._order = order
        self._share = share
        self._sent = sent
        self._meter = meter
        self._channel: Channel[Piece] = Channel(LEAST_PER_COPY - 2)
        self._sink: ByteSink | None = None
        self._writer: SparseWriter | None = None
        self._threads: dict[str, asyncio.Future[Any]] = {}

    async def run(self, sinks: Sinks, apart: Apart) -> None:
        begun = self._threads["source"] = start("copy-begin", self._reading.begin)
        sink = await sinks.first(await first_of(begun, begun))
        reading: asyncio.Future[Any] = begun
        pieces: PieceSource = Inline(self._pieces)
        if apart(sink):
            pieces = self._channel
            feeding = partial(feed, self._pieces, self._channel, self._share.give_back)
            reading = self._threads["source"] = start("copy-read", feeding)
        writer = self._writer = SparseWriter(pieces, self._share, self._order, self._sent, self._meter)
        while await self._write(writer, sink, reading):
            sink = await sinks.next()

    async def _write(self, writer: SparseWriter, sink: ByteSink, reading: "asyncio.Future[Any]") -> bool:
        self._sink = sink
        writing = self._threads["target"] = start("copy-write", lambda: writer.write_slice(sink))
        return await first_of(writing, reading)

    async def stop(self) -> None:
        """Close both ends, and see all threads end and all buffers given back."""
        self._reading.close()
        if self._sink is not None:
            self._sink.close()
        for piece in self._channel.break_off():
            self._share.give_back(piece.buffer)
        try:
            await settled(*self._threads.values())
        finally:
            if self._writer is not None:
                self._writer.give_up()
            await settled(start("copy-end", self._pieces.close))

    def root_cause(self, seen: BaseException) -> BaseException:
        """The failure that came first is the one to tell; that the other side then found its channel closed is not."""
        failures = {side: error for side, thread in self._threads.items() if (error := _failure(thread)) is not None}
        if isinstance(seen, Closed):
            seen = next((error for error in failures.values() if not isinstance(error, Closed)), seen)
        if isinstance(seen, TransferError):
            for side, error in failures.items():
                if error is seen:
                    seen.evidence.setdefault("side", side)
        return seen


def _failure(thread: "asyncio.Future[Any]") -> BaseException | None:
    return thread.exception() if thread.done() and not thread.cancelled() else None
