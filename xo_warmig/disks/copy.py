"""The one copy loop: a VHD export in, XAPI's sparse stream out, in two threads with a bounded number of bytes between them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from xo_warmig.disks.meter import Meter
from xo_warmig.disks.pipe import MOST_PER_COPY, Budget, Channel, Closed, Piece
from xo_warmig.disks.sparse_writer import write_sparse
from xo_warmig.disks.streams import ByteSink, ByteSource
from xo_warmig.disks.vhd_reader import VhdExpectation, read_vhd

BUDGET = Budget()


class CopyResult(NamedTuple):
    """What was moved. ``read_bytes`` of disk content came, ``written_bytes`` of it were sent."""

    read_bytes: int
    written_bytes: int
    transfer_seconds: float


async def copy_vhd(
    source: ByteSource,
    sink: ByteSink,
    *,
    virtual_size_bytes: int,
    differencing: bool,
    skip_zeros: bool,
    meter: Meter,
) -> CopyResult:
    """Copy every block of the VHD stream ``source`` into the sparse stream ``sink``, end marker included.

    The sent bytes are not confirmed: that is for the target's task to say (R22).

    Args:
        differencing: what the stream must be; a full export where a difference was asked for is refused, since blocks that it leaves
            out would have to be zeroed (R12, R20).
        skip_zeros: leave out 64 KiB ranges of zeros; only into a disk that reads as zero where nothing was written (R20).

    Raises:
        FormatError: the source sends no VHD, or not the one that was expected. TransferError: a connection broke.
        asyncio.CancelledError: both streams are closed and both threads have ended.
    """
    channel: Channel[Piece] = Channel(MOST_PER_COPY - 2)
    expected = VhdExpectation(virtual_size_bytes=virtual_size_bytes, differencing=differencing)

    def read() -> None:
        read_vhd(source, expected, channel, BUDGET, skip_zeros=skip_zeros, meter=meter)

    def write() -> None:
        write_sparse(sink, channel, BUDGET, meter=meter)

    threads = [_start("copy-read", read), _start("copy-write", write)]
    try:
        await _first_failure(threads)
    except BaseException as why:
        source.close()
        sink.close()
        for piece in channel.break_off():
            BUDGET.give_back(piece.buffer)
        await _settle(threads)
        raise _root_cause(threads, why) from None
    return CopyResult(meter.done_bytes, meter.written_bytes, meter.transfer_seconds)


def _start(name: str, body: Callable[[], None]) -> "asyncio.Future[None]":
    """A thread of its own, since a copy may run for days and must not hold a place in a shared pool of workers."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            body()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return asyncio.wrap_future(outcome)


async def _first_failure(threads: list["asyncio.Future[None]"]) -> None:
    done, _ = await asyncio.wait(threads, return_when=asyncio.FIRST_EXCEPTION)
    for thread in done:
        thread.result()


async def _settle(threads: list["asyncio.Future[None]"]) -> None:
    """Both threads have ended, whoever else cancels meanwhile: their streams are closed, so this is soon."""
    while not all(thread.done() for thread in threads):
        try:
            await asyncio.wait(threads)
        except asyncio.CancelledError:
            continue


def _root_cause(threads: list["asyncio.Future[None]"], seen: BaseException) -> BaseException:
    """The failure that came first is the one to tell; that the other side then found its channel closed is not."""
    failures = [error for thread in threads if (error := thread.exception()) is not None]
    if isinstance(seen, Closed):
        return next((error for error in failures if not isinstance(error, Closed)), seen)
    return seen
