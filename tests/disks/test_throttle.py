"""A copy that is held to limits: how long it takes, that all of it arrives, and that it stops at once."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.disks.memory import SIZE, MemorySink, MemorySinks, MemorySource, admitted, content, vhd
from tests.disks.memory_readers import always, readers
from xo_warmig.disks.copy import CopyResult, copy_extents, copy_vhd
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pace import Limit, Pace, Share
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.disks.throttle import Throttle, ThrottledSink, ThrottledSource
from xo_warmig.model.extents import Extent
from xo_warmig.model.passes import Mark
from xo_warmig.model.units import KIB, MIB

DISK = content(range(8))
STREAM = vhd(DISK, range(8))
# How much longer than the rate says a copy may take where the machine has much else to do. Limits are looked at closely without time
# passing, in test_pace.
BUSY = 5.0


class Watched(MemorySink):
    """Remembers when bytes came, and how many at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []
        self.sizes: list[int] = []

    def writev(self, buffers: Any) -> None:
        self.moments.append(time.monotonic())
        self.sizes.append(sum(map(len, buffers)))
        super().writev(buffers)


class ThrottledSinks(MemorySinks):
    """One sink, held to limits."""

    def __init__(self, sink: MemorySink, throttle: Throttle) -> None:
        super().__init__([sink])
        self._throttle = throttle

    async def next(self) -> ByteSink:
        return self._throttle.sink(await super().next())


async def copied(throttle: Throttle, sink: MemorySink) -> CopyResult:
    order = CopyOrder(SIZE, differencing=False, skip_zeros=True, piece_bytes=throttle.piece_bytes)
    source = throttle.source(MemorySource(STREAM))
    sinks = ThrottledSinks(sink, throttle)
    with admitted() as admission:
        return await copy_vhd(source, sinks, order, sent=SentLog(Mark()), meter=Meter(), admission=admission)


def limit(rate: float | None) -> Share:
    """The share that one migration has of it."""
    return Share(Limit(lambda: rate))


HELD: dict[str, Callable[[Share], Throttle]] = {
    "reading": lambda limit: Throttle([limit]),
    "writing": lambda limit: Throttle([], [limit]),
    "both, by limits of their own": lambda own: Throttle([own], [Share(Limit(own.limit.rate))]),
}


@pytest.mark.parametrize("held", HELD)
async def test_a_copy_keeps_to_its_rate(held: str) -> None:
    """And is not faster, whichever end is held; it tells how long it was held back, and every byte arrives."""
    rate = 20 * MIB
    sink, throttle = Watched(), HELD[held](limit(rate))
    begin = time.monotonic()
    result = await copied(throttle, sink)
    seconds = time.monotonic() - begin
    assert sink.disk() == DISK
    assert 0.9 <= seconds / (SIZE / rate) <= BUSY
    assert 0.0 < throttle.held_back_seconds <= seconds
    assert result.transfer_seconds <= seconds


async def test_connections_to_a_disk_share_its_pace() -> None:
    """However many there are: what they read together is held to the limit."""
    rate = 20 * MIB
    sink, throttle = Watched(), Throttle([limit(rate)])
    order = CopyOrder(SIZE, differencing=False, skip_zeros=True, piece_bytes=throttle.piece_bytes)
    connections = throttle.lanes(Lanes(readers(DISK, 4)))
    begin = time.monotonic()
    whole = always([Extent(0, SIZE)])
    sinks = ThrottledSinks(sink, throttle)
    with admitted() as admission:
        await copy_extents(connections, whole, sinks, order, sent=SentLog(Mark()), meter=Meter(), admission=admission)
    seconds = time.monotonic() - begin
    assert sink.disk() == DISK
    assert 0.8 <= seconds / (SIZE / rate) <= BUSY, "what is in flight at the end passes freely"
    assert 0.0 < throttle.held_back_seconds <= seconds


async def test_two_copies_under_one_limit_make_it_together() -> None:
    """Neither gets its bytes first, be they of one migration or of two."""
    one, rate = limit(40 * MIB), 40 * MIB
    for shares in ((one, one), (one, Share(one.limit))):
        await two_copies(shares, rate)


async def two_copies(shares: tuple[Share, Share], rate: float) -> None:
    """Under these shares of a limit of that rate."""
    sinks = [Watched(), Watched()]
    begin = time.monotonic()
    await asyncio.gather(*(copied(Throttle([], [share]), sink) for share, sink in zip(shares, sinks, strict=True)))
    ends = [sink.moments[-1] - begin for sink in sinks]
    assert 0.9 <= max(ends) / (2 * SIZE / rate) <= BUSY
    assert min(ends) > 0.6 * max(ends)


async def test_without_a_limit_the_streams_are_the_pools_own() -> None:
    """Nothing stands in the way."""
    sink, source = MemorySink(), MemorySource(STREAM)
    throttle = Throttle()
    assert throttle.source(source) is throttle.back(source) is throttle.head(source) is source
    assert throttle.sink(sink) is sink
    await copied(Throttle([limit(None)], [limit(None)]), sink)
    assert sink.disk() == DISK


async def test_at_a_low_rate_bytes_trickle() -> None:
    """Small pieces, and never long without a byte at either end (R15); then the limit goes, at once."""
    rates: list[float | None] = [256 * KIB]
    slow = Share(Limit(lambda: rates[0]))
    sink = Watched()
    copying = asyncio.ensure_future(copied(Throttle([slow], [limit(256 * KIB)], piece_bytes=64 * KIB), sink))
    await asyncio.sleep(1.0)
    assert 0 < len(sink.data) < 1.2 * 256 * KIB
    assert max(sink.sizes) <= 16 * KIB
    gaps = [after - before for before, after in itertools.pairwise(sink.moments)]
    assert max(gaps) < 1.0
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying


async def test_a_cancelled_copy_does_not_wait_for_its_turn() -> None:
    """However long that would have been."""
    sink = Watched()
    copying = asyncio.ensure_future(copied(Throttle([limit(1.0)], [limit(1.0)]), sink))
    await asyncio.sleep(0.1)
    begin = time.monotonic()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert time.monotonic() - begin < 5.0
    assert sink.closed


def test_a_source_that_ends_early_says_so() -> None:
    """As its own stream does."""
    source = ThrottledSource(MemorySource(b"x" * 10_000), Pace([limit(8 * MIB)]))
    view = memoryview(bytearray(16 * KIB))
    assert source.readinto(view) == 10_000
    assert source.readinto(view) == 0
    assert bytes(view[:10_000]) == b"x" * 10_000


def test_a_sink_sends_buffers_in_order_whatever_passes_at_a_time() -> None:
    """Cut where a turn ends; empty ones are left out."""
    inner = Watched()
    sink = ThrottledSink(inner, Pace([limit(MIB)]))
    sink.writev([b"head", b"", bytearray(30 * KIB), memoryview(b"tail")])
    assert bytes(inner.data) == b"head" + bytes(30 * KIB) + b"tail"
    assert len(inner.sizes) > 2
