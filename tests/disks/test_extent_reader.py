"""Copying extents that several connections read: in order though they answer out of it, and how it ends when one breaks."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disks.memory import SIZE, MemorySink, MemorySinks, admitted, budget_is_whole, content
from tests.disks.memory_readers import MemoryReader, always, readers
from xo_warmig.disks.copy import CopyResult, copy_extents
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.loads import Extents, Load
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Part
from xo_warmig.disks.reads import LEAST_PER_CONNECTION_BYTES, READ_BYTES, DiskReader, Filling, Read, ReadQueue
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.errors import FormatError, SafetyError, TransferError
from xo_warmig.formats.cbt import BLOCK_BYTES as GRANULE
from xo_warmig.model.extents import Extent, normalise, total_bytes
from xo_warmig.model.passes import Mark
from xo_warmig.model.units import KIB, MIB

RANDOM = random.Random(1).randbytes(SIZE)
DELTA = CopyOrder(SIZE, differencing=True, skip_zeros=False)
WHOLE = [Extent(0, SIZE)]

EXTENTS = st.lists(
    st.builds(lambda first, count: Extent(first * GRANULE, count * GRANULE), st.integers(0, 250), st.integers(1, 40)),
    max_size=20,
).map(lambda extents: [Extent(e.offset, min(e.end, SIZE) - e.offset) for e in normalise(extents)])


@pytest.fixture(autouse=True, scope="module", params=[False, True], ids=["clear", "encrypted"])
def apart(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test is run with a sink in clear, and with one that takes a thread's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemorySink, "apart", request.param)
        yield


async def copied(
    disk: Sequence[MemoryReader] | Lanes,
    extents: Extents,
    sinks: MemorySinks,
    order: CopyOrder,
    sent: SentLog | None = None,
    meter: Meter | None = None,
) -> CopyResult:
    lanes = disk if isinstance(disk, Lanes) else Lanes(disk)
    with admitted() as admission:
        return await copy_extents(
            lanes, extents, sinks, order, sent=sent or SentLog(Mark()), meter=meter or Meter(), admission=admission
        )


async def copy(
    disk: Sequence[MemoryReader],
    extents: Sequence[Extent],
    sinks: Sequence[ByteSink],
    order: CopyOrder = DELTA,
    mark: Mark | None = None,
) -> tuple[CopyResult, SentLog, Meter]:
    sent, meter = SentLog(mark or Mark()), Meter()
    given = MemorySinks([sink for sink in sinks if isinstance(sink, MemorySink)])
    result = await copied(disk, always(extents), given, order, sent, meter)
    return result, sent, meter


def patched(base: bytes, disk: bytes, extents: Sequence[Extent]) -> bytes:
    """``base`` with these extents as on ``disk``."""
    expected = bytearray(base)
    for extent in extents:
        expected[extent.offset : extent.end] = disk[extent.offset : extent.end]
    return bytes(expected)


@given(EXTENTS, st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_just_the_extents_arrive(extents: list[Extent], count: int) -> None:
    """Over any number of connections that answer in any order; the sink sees the disk's order."""
    sink, disk = MemorySink(), readers(RANDOM, count, slow=0.1)
    result, sent, _ = asyncio.run(copy(disk, extents, [sink]))
    assert sink.disk(b"\xff" * SIZE) == patched(b"\xff" * SIZE, RANDOM, extents)
    pieces = sink.pieces()
    assert all(one.offset + len(one.data) <= other.offset for one, other in itertools.pairwise(pieces))
    assert result.read_bytes == result.written_bytes == total_bytes(extents)
    assert sent.sent == (extents[-1].end if extents else 0)
    assert all(reader.closed.is_set() for reader in disk)


async def test_all_connections_work_and_none_has_more_in_flight_than_it_may() -> None:
    """One buffer is enough for four of them."""
    disk = readers(RANDOM, 4, slow=1.0)
    await copy(disk, WHOLE, [MemorySink()])
    assert all(reader.extents for reader in disk)
    assert max(reader.most_open for reader in disk) == LEAST_PER_CONNECTION_BYTES // READ_BYTES
    assert normalise(extent for reader in disk for extent in reader.extents) == WHOLE
    assert budget_is_whole()


async def test_zeros_are_left_out_only_where_that_is_allowed() -> None:
    """R20: a delta writes them."""
    disk, extents = content([1], zero_from=96 * KIB), [Extent(2 * MIB, 2 * MIB), Extent(10 * MIB, MIB)]
    sink = MemorySink()
    result, _, meter = await copy(readers(disk, 2), extents, [sink], DELTA._replace(skip_zeros=True))
    assert sink.disk() == disk
    assert (result.read_bytes, result.written_bytes) == (3 * MIB, 128 * KIB)
    assert meter.done_bytes == meter.total_bytes == 3 * MIB
    sink = MemorySink()
    await copy(readers(disk, 2), extents, [sink])
    assert sink.disk(b"\xff" * SIZE) == patched(b"\xff" * SIZE, disk, extents)


@pytest.mark.parametrize("blocks", [[], [0], [7], [1, 2, 6]])
async def test_what_is_not_listed_is_zeroed_on_a_used_disk(blocks: list[int]) -> None:
    """R20; and the list is then the whole disk (R18)."""
    disk, sinks, meter = content(blocks), MemorySinks([MemorySink()]), Meter()
    extents = always([Extent(block * 2 * MIB, 2 * MIB) for block in blocks])
    order = DELTA._replace(zero_unallocated=True)
    await copied(readers(disk, 2), extents, sinks, order, meter=meter)
    assert sinks._sinks[0].disk(b"\xff" * SIZE) == disk
    assert sinks.blocks == b"\xff"
    assert meter.done_bytes == meter.total_bytes == SIZE
    assert meter.read_bytes == len(blocks) * 2 * MIB


async def test_the_list_has_every_block_that_an_extent_touches() -> None:
    """Those below the start among them (R18)."""
    extents = [Extent(2 * MIB - GRANULE, 2 * GRANULE), Extent(14 * MIB, GRANULE)]
    sinks, order = MemorySinks([MemorySink()]), DELTA._replace(start_offset=2 * MIB)
    await copied(readers(RANDOM, 1), always(extents), sinks, order)
    assert sinks.blocks == bytes([0b11000001])


@given(EXTENTS.filter(lambda extents: total_bytes(extents) > 3 * MIB), st.integers(0, 3 * MIB))
@settings(max_examples=10, deadline=None)
def test_a_broken_copy_goes_on_where_its_mark_says(extents: list[Extent], breaks_after: int) -> None:
    """R22: nothing that lies below the mark is missing, whatever was in flight when it broke."""
    broken, rest, sent = MemorySink(breaks_after=breaks_after), MemorySink(), SentLog(Mark())
    disk = readers(RANDOM, 3, slow=0.1)
    with pytest.raises(TransferError, match="hung up"):
        asyncio.run(copied(disk, always(extents), MemorySinks([broken]), DELTA, sent))
    assert all(reader.closed.is_set() for reader in disk)
    mark = sent.mark()
    held = patched(b"\xff" * SIZE, RANDOM, [Extent(e.offset, min(e.end, mark.sent) - e.offset) for e in extents])
    order = DELTA._replace(start_offset=mark.sent)
    asyncio.run(copy(readers(RANDOM, 2), extents, [rest], order, mark))
    assert rest.disk(held) == patched(b"\xff" * SIZE, RANDOM, extents)
    assert budget_is_whole()


async def test_slices_are_cut_and_gone_on_with() -> None:
    """The connections stand open meanwhile."""
    sinks = [MemorySink() for _ in range(4)]
    await copy(readers(RANDOM, 2), WHOLE, sinks, DELTA._replace(slice_bytes=4 * MIB))
    arrived = bytes(SIZE)
    for sink in sinks:
        assert len(sink.pieces()) == 2
        arrived = sink.disk(arrived)
    assert arrived == RANDOM


@pytest.mark.parametrize("breaks_at", [0, 5 * MIB, SIZE - 1])
async def test_what_breaks_every_connection_ends_it_with_its_own_reason(breaks_at: int) -> None:
    """All are closed, and the target is not ended well (R4)."""
    sink = MemorySink()
    disk = [MemoryReader(RANDOM, seed=seed, breaks_at=breaks_at) for seed in range(3)]
    with pytest.raises(TransferError, match="the disk is broken") as failed:
        await copy(disk, WHOLE, [sink])
    assert failed.value.evidence["side"] == "source"
    assert all(reader.closed.is_set() for reader in disk)
    assert not sink.ended
    assert budget_is_whole()


@pytest.mark.parametrize("breaks_at", [0, 5 * MIB, SIZE - 1])
async def test_one_broken_connection_of_several_ends_nothing(breaks_at: int) -> None:
    """What it had asked for is read again by the others: no hole, and no byte of an answer that broke off."""

    class Tearing(MemoryReader):
        def answer(self, read: Read) -> None:
            read.view[: len(read.view) // 2] = b"x" * (len(read.view) // 2)
            super().answer(read)

    disk = [Tearing(RANDOM, breaks_at=breaks_at), *readers(RANDOM, 2, slow=0.5)]
    sink = MemorySink()
    result, _, meter = await copy(disk, WHOLE, [sink])
    assert sink.disk() == RANDOM
    assert result.read_bytes == meter.done_bytes == SIZE
    assert all(reader.closed.is_set() for reader in disk)
    assert budget_is_whole()


async def test_where_the_disk_cannot_be_read_no_number_of_connections_helps() -> None:
    """Each that reads there breaks; after some it is the disk that is to blame, however many there are."""
    disk = [MemoryReader(RANDOM, seed=seed, breaks_at=5 * MIB) for seed in range(8)]
    with pytest.raises(TransferError, match="the disk is broken"):
        await copy(disk, WHOLE, [MemorySink()])
    assert sum(reader.extents[-1].offset <= 5 * MIB < reader.extents[-1].end for reader in disk if reader.extents) == 3
    assert budget_is_whole()


async def test_connections_come_and_go_while_a_disk_is_read() -> None:
    """Whoever leaves ends what it has asked for; whoever comes reads on, also where none was left; each is told of when it is closed."""
    ended: list[DiskReader] = []
    lanes = Lanes([first := MemoryReader(RANDOM, slow=1.0)], stays=True, ended=ended.append)
    sink, sent = MemorySink(), SentLog(Mark())
    task = asyncio.create_task(copied(lanes, always(WHOLE), MemorySinks([sink]), DELTA, sent))
    async with asyncio.timeout(20):
        while not first.extents:
            await asyncio.sleep(0.001)
        lanes.dismiss(first)
        while not ended:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert first.closed.is_set()
        assert not task.done()
        assert sent.sent < SIZE
        joined = [each for each in readers(RANDOM, 3, slow=1.0) if lanes.join(each)]
        result = await task
    assert joined
    assert sink.disk() == RANDOM
    assert result.read_bytes == SIZE == lanes.done_bytes
    assert {*ended} == {first, *joined}
    assert not lanes.join(late := MemoryReader(RANDOM))
    assert late.closed.is_set()
    assert budget_is_whole()


async def test_whoever_cannot_bring_a_connection_ends_the_copy_with_the_reason() -> None:
    """None is left, so nobody else would tell."""
    lanes = Lanes([only := MemoryReader(RANDOM, breaks_at=MIB)], stays=True)
    task = asyncio.create_task(copied(lanes, always(WHOLE), MemorySinks([MemorySink()]), DELTA))
    await asyncio.to_thread(only.closed.wait, 10)
    lanes.fail(TransferError("the host is gone"))
    with pytest.raises(TransferError, match="the host is gone"):
        await task
    assert budget_is_whole()


async def test_a_copy_without_a_connection_can_be_cancelled() -> None:
    """It waits for one that others have."""
    lanes = Lanes(stays=True)
    task = asyncio.create_task(copied(lanes, always(WHOLE), MemorySinks([MemorySink()]), DELTA))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert budget_is_whole()


async def test_a_copy_that_was_stopped_before_its_first_read_ends() -> None:
    """All its connections were others' by then, so none is there to find itself closed."""
    lanes, reads = Lanes(stays=True), ReadQueue()
    lanes.close()
    lanes.begin(reads, SIZE)
    reads.put(waited_for := Filling(Load([Part(0, 0, 512)], stored=True), bytearray(512)))
    with pytest.raises(TransferError, match="stopped"):
        await asyncio.wait_for(asyncio.to_thread(reads.wait_for, waited_for), 10)


async def test_a_disk_that_was_resized_is_noticed_on_a_connection_that_comes_later() -> None:
    """R14."""
    lanes = Lanes([first := MemoryReader(RANDOM, hangs_at=0)], stays=True)
    task = asyncio.create_task(copied(lanes, always(WHOLE), MemorySinks([MemorySink()]), DELTA))
    assert await asyncio.to_thread(first.hangs.wait, 10)
    lanes.join(MemoryReader(RANDOM + bytes(512)))
    with pytest.raises(TransferError) as refused:
        await task
    assert refused.value.code == "DISK_RESIZED"
    assert budget_is_whole()


async def test_an_answer_that_makes_no_sense_wakes_those_that_hang() -> None:
    """And its reason is told, not that they were closed; another connection is no remedy."""

    class Hanging(MemoryReader):
        def answer(self, read: Read) -> None:
            self.hangs.set()
            assert self.closed.wait(20)
            raise TransferError("the transfer was stopped", code="TRANSFER_STOPPED")

    class Broken(MemoryReader):
        def answer(self, read: Read) -> None:
            assert hanging.hangs.wait(20)
            raise FormatError("that is no answer")

    hanging = Hanging(RANDOM)
    with pytest.raises(FormatError, match="no answer"):
        await copy([hanging, Broken(RANDOM)], WHOLE, [MemorySink()])
    assert budget_is_whole()


async def test_cancelling_closes_every_connection_and_ends_every_thread() -> None:
    """R10: while reads hang, with full buffers behind them."""
    before = threading.active_count()
    disk = [MemoryReader(RANDOM, hangs_at=MIB) for _ in range(3)]
    task = asyncio.create_task(copy(disk, WHOLE, [MemorySink()]))
    while not any(reader.hangs.is_set() for reader in disk):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(reader.closed.is_set() for reader in disk)
    assert budget_is_whole()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:  # a thread tells of its end a moment before it comes
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_resized_disk_is_refused() -> None:
    """On any of the connections (R14)."""
    disk = [MemoryReader(RANDOM), MemoryReader(RANDOM + bytes(512))]
    with pytest.raises(TransferError) as refused:
        await copy(disk, WHOLE, [MemorySink()])
    assert refused.value.code == "DISK_RESIZED"
    assert all(reader.closed.is_set() for reader in disk)


async def test_a_list_that_changes_in_between_is_not_copied_to_its_end() -> None:
    """What was stored of it would not be what was sent (R18)."""
    lists = iter([[Extent(0, 2 * MIB)], [Extent(0, MIB)]])
    sink = MemorySink()
    with pytest.raises(SafetyError) as refused:
        await copied(readers(RANDOM, 1), lambda: next(lists), MemorySinks([sink]), DELTA)
    assert refused.value.code == "LIST_CHANGED"
    assert not sink.ended
    assert budget_is_whole()


async def test_without_a_connection_nothing_is_waited_for() -> None:
    """It is the caller's mistake."""
    with pytest.raises(ValueError, match="no connection"):
        await copy([], WHOLE, [MemorySink()])
    assert budget_is_whole()
