"""The copy loop between streams in memory: what arrives, what is left out, and how it ends when something breaks."""

import asyncio
import threading
import time

import pytest

from tests.disks.memory import (
    PARENT,
    SIZE,
    MemorySink,
    MemorySinks,
    MemorySource,
    admitted,
    budget_is_whole,
    content,
    vhd,
)
from xo_warmig.disks.block_hashes import digest, hashes_of
from xo_warmig.disks.copy import CopyResult, copy_vhd
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSink
from xo_warmig.errors import FormatError, SafetyError, TransferError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.passes import Mark
from xo_warmig.model.units import KIB, MIB


@pytest.fixture(autouse=True, params=[False, True], ids=["one_thread", "two_threads"])
def apart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is run with both."""
    monkeypatch.setattr(MemorySource, "apart", request.param)


async def run(
    source: MemorySource, sink: MemorySink, *, differencing: bool = False, skip_zeros: bool = True, size: int = SIZE
) -> tuple[CopyResult, Meter]:
    meter = Meter()
    order = CopyOrder(size, differencing=differencing, skip_zeros=skip_zeros)
    with admitted() as admission:
        result = await copy_vhd(
            source, MemorySinks([sink]), order, sent=SentLog(Mark()), meter=meter, admission=admission
        )
    return result, meter


async def test_a_full_export_arrives_whole() -> None:
    """Blocks in any order of the file land where they belong, and the meter tells what was moved."""
    disk = content([0, 3, 7])
    sink = MemorySink()
    result, meter = await run(MemorySource(vhd(disk, [7, 0, 3])), sink)
    assert sink.disk() == disk
    assert result.read_bytes == result.written_bytes == 3 * BLOCK_BYTES == meter.total_bytes
    assert budget_is_whole()


async def test_zeros_are_left_out_of_a_full_pass() -> None:
    """Ranges of 64 KiB without data do not travel."""
    disk = content([1], zero_from=96 * KIB)
    sink = MemorySink()
    result, _ = await run(MemorySource(vhd(disk, [1, 5])), sink)
    assert sink.disk() == disk
    assert result.read_bytes == 2 * BLOCK_BYTES
    assert result.written_bytes == 128 * KIB


async def test_every_zero_of_a_delta_is_written() -> None:
    """A block that was zeroed since the base overwrites what the target has there (R20)."""
    sink = MemorySink()
    stream = vhd(bytes(SIZE), [2], parent=PARENT)
    await run(MemorySource(stream), sink, differencing=True, skip_zeros=False)
    assert sink.disk(b"\xff" * SIZE) == b"\xff" * (2 * BLOCK_BYTES) + bytes(BLOCK_BYTES) + b"\xff" * (5 * BLOCK_BYTES)


async def test_an_empty_export_sends_just_the_end() -> None:
    """Nothing but the end marker."""
    sink = MemorySink()
    await run(MemorySource(vhd(bytes(SIZE), [])), sink)
    assert bytes(sink.data) == bytes(12)


async def test_a_full_export_in_place_of_a_difference_is_refused() -> None:
    """It would leave zeroed blocks of the target as they are (R12, R20)."""
    with pytest.raises(TransferError) as refused:
        await run(MemorySource(vhd(content([0]), [0])), MemorySink(), differencing=True, skip_zeros=False)
    assert refused.value.code == "WRONG_EXPORT"
    assert budget_is_whole()


async def test_a_resized_disk_is_refused() -> None:
    """The stream's disk has another size than the plan's (R14)."""
    with pytest.raises(TransferError) as refused:
        await run(MemorySource(vhd(content([0]), [0])), MemorySink(), size=SIZE * 2)
    assert refused.value.code == "DISK_RESIZED"


@pytest.mark.parametrize("missing", [1, 512, 513, BLOCK_BYTES, 3 * BLOCK_BYTES])
async def test_a_stream_that_ends_early_never_ends_the_target_well(missing: int) -> None:
    """A cut, wherever it is, is a failure, and the end marker is not sent (R4)."""
    stream = vhd(content([0, 1, 2]), [0, 1, 2])
    sink = MemorySink()
    with pytest.raises(TransferError) as failed:
        await run(MemorySource(stream[:-missing]), sink)
    assert failed.value.evidence["side"] == "source"
    assert sink.closed or not sink.data
    assert not sink.ended
    assert budget_is_whole()


class LateEnd(MemorySource):
    """Ends a moment after its last byte."""

    def readinto(self, view: memoryview) -> int:
        count = super().readinto(view)
        if count < len(view):
            time.sleep(0.05)
        return count


class LateSinks(MemorySinks):
    """Takes longer to store the list."""

    async def first(self, blocks: bytes) -> ByteSink:
        await asyncio.sleep(0.3)
        return await super().first(blocks)


async def test_a_source_that_breaks_before_there_is_a_sink_is_not_waited_for() -> None:
    """It had sent its list and nothing else: whoever would write waits for pieces that never come."""
    stream = vhd(content([0]), [0])[: 64 * KIB]
    order = CopyOrder(SIZE, differencing=False, skip_zeros=True)
    async with asyncio.timeout(5):
        with admitted() as admission, pytest.raises(TransferError) as failed:
            await copy_vhd(
                LateEnd(stream),
                LateSinks([MemorySink()]),
                order,
                sent=SentLog(Mark()),
                meter=Meter(),
                admission=admission,
            )
    assert failed.value.evidence["side"] == "source"
    assert budget_is_whole()


async def test_an_error_message_in_the_stream_is_no_footer() -> None:
    """A pool that fails after the last block writes a second HTTP message where the footer belongs."""
    stream = vhd(content([0]), [0])[:-512] + b"HTTP/1.1 500 Internal Error\r\n".ljust(512)
    with pytest.raises(FormatError):
        await run(MemorySource(stream), MemorySink())


async def test_a_target_that_breaks_is_the_failure_that_is_told() -> None:
    """That the reader then found its channel closed is not."""
    disk = content([0, 1, 2, 3, 4, 5])
    with pytest.raises(TransferError) as failed:
        await run(MemorySource(vhd(disk, range(6))), MemorySink(breaks_after=BLOCK_BYTES))
    assert failed.value.evidence["side"] == "target"
    assert budget_is_whole()


async def test_cancelling_closes_both_streams_and_ends_both_threads() -> None:
    """A copy that was cancelled leaves nothing running (R10)."""
    source, sink = MemorySource(vhd(content([0, 1]), [0, 1])[: 3 * MIB], hang=True), MemorySink()
    before = threading.active_count()
    task = asyncio.create_task(run(source, sink))
    async with asyncio.timeout(10):
        while not sink.data:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sink.closed
    assert threading.active_count() <= before + 1
    assert budget_is_whole()


async def copy(stream: bytes, sinks: MemorySinks, order: CopyOrder, mark: Mark | None = None) -> tuple[SentLog, Meter]:
    sent, meter = SentLog(mark or Mark()), Meter()
    with admitted() as admission:
        await copy_vhd(MemorySource(stream), sinks, order, sent=sent, meter=meter, admission=admission)
    return sent, meter


FULL = CopyOrder(SIZE, differencing=False, skip_zeros=True)


async def test_a_copy_is_cut_into_slices_at_pieces() -> None:
    """Each import gets its end marker; together they bring the disk. No slice is opened for nothing."""
    disk = content(range(6))
    sinks = [MemorySink() for _ in range(3)]
    given = MemorySinks(sinks)
    sent, meter = await copy(vhd(disk, range(6)), given, FULL._replace(slice_bytes=3 * MIB))
    assert given.given == 3
    arrived = bytes(SIZE)
    for sink in sinks:
        assert len(sink.pieces()) == 2
        arrived = sink.disk(arrived)
    assert arrived == disk
    assert sent.sent == 12 * MIB
    assert meter.done_bytes == meter.total_bytes == meter.written_bytes == 12 * MIB
    assert budget_is_whole()


async def test_a_slice_ends_by_time_too() -> None:
    """But not before it took anything."""
    sinks = MemorySinks([MemorySink() for _ in range(4)])
    await copy(vhd(content(range(4)), range(4)), sinks, FULL._replace(slice_seconds=1e-9))
    assert sinks.given == 4


async def test_a_slice_that_is_not_confirmed_ends_the_copy() -> None:
    """With the piece of the next slice in hand; nothing is lost of the buffers."""

    class Unconfirmed(MemorySinks):
        async def next(self) -> MemorySink:
            if self.given:
                raise TransferError("not written", evidence={"side": "target"})
            self.given += 1
            return sink

    sink = MemorySink()
    with pytest.raises(TransferError, match="not written"):
        await copy(vhd(content(range(6)), range(6)), Unconfirmed([sink]), FULL._replace(slice_bytes=MIB))
    assert budget_is_whole()


async def test_the_list_is_known_before_the_first_byte_and_may_be_refused() -> None:
    """R18: what the store says to it decides."""

    class Refusing(MemorySinks):
        async def first(self, blocks: bytes) -> MemorySink:
            raise SafetyError(blocks.hex())

    sinks = MemorySinks([MemorySink()])
    await copy(vhd(content([0, 3, 7]), [7, 0, 3]), sinks, FULL)
    assert sinks.blocks == bytes([0b10010001])
    with pytest.raises(SafetyError, match="91"):
        await copy(vhd(content([0, 3, 7]), [0, 3, 7]), Refusing([]), FULL)
    assert budget_is_whole()


@pytest.mark.parametrize("start", [0, 64 * KIB, 2 * MIB, 5 * MIB + 64 * KIB, 14 * MIB, SIZE - 64 * KIB])
@pytest.mark.parametrize("zero_unallocated", [False, True])
async def test_what_lies_below_the_start_is_not_sent(start: int, zero_unallocated: bool) -> None:
    """A piece that straddles it is cut; what was copied before counts as done; the list is the whole one."""
    blocks = [0, 2, 3, 7]
    disk, sinks = content(blocks), MemorySinks([MemorySink()])
    order = FULL._replace(skip_zeros=False, zero_unallocated=zero_unallocated, start_offset=start)
    (sink,) = sinks._sinks
    _, meter = await copy(vhd(disk, blocks), sinks, order, Mark(confirmed=start, sent=start))
    assert min((piece.offset for piece in sink.pieces()), default=SIZE) >= start
    assert sink.disk(disk[:start] + bytes(SIZE - start)) == disk
    assert sinks.blocks == (b"\xff" if zero_unallocated else bytes([0b10110001]))
    assert meter.done_bytes == meter.total_bytes == (SIZE if zero_unallocated else 4 * BLOCK_BYTES)
    assert meter.read_bytes == 4 * BLOCK_BYTES
    assert meter.written_bytes < SIZE or not start


@pytest.mark.parametrize("blocks", [[], [0], [7], [3, 4], [1, 6], [6, 1]])
async def test_what_the_source_does_not_store_is_zeroed_on_a_used_disk(blocks: list[int]) -> None:
    """R20: whatever the target held before, it is as the source is."""
    disk = content(blocks)
    sinks = MemorySinks([MemorySink()])
    _, meter = await copy(vhd(disk, blocks), sinks, FULL._replace(skip_zeros=False, zero_unallocated=True))
    assert sinks._sinks[0].disk(b"\xff" * SIZE) == disk
    assert meter.total_bytes == meter.done_bytes == meter.written_bytes == SIZE
    assert meter.read_bytes == len(blocks) * BLOCK_BYTES
    assert budget_is_whole()


async def test_what_was_sent_is_hashed_in_order() -> None:
    """Only what was sent, so ranges of zeros that were left out are not there."""
    disk = content([1, 2], zero_from=96 * KIB)
    sent, _ = await copy(vhd(disk, [1, 2]), MemorySinks([MemorySink()]), FULL)
    mark = sent.mark()
    assert [(piece.offset, piece.length) for piece in mark.tail] == [(2 * MIB, 128 * KIB), (4 * MIB, 128 * KIB)]
    for offset, length, xxh3 in [(p.offset, p.length, p.xxh3) for p in mark.tail]:
        assert xxh3 == digest(hashes_of(memoryview(disk)[offset : offset + length], offset))
    assert mark.sent == 6 * MIB


async def test_a_stream_in_another_order_is_copied_but_cannot_be_gone_on_with() -> None:
    """An offset does not say how far it is."""
    disk = content([0, 3, 7])
    sent, _ = await copy(vhd(disk, [7, 0, 3]), MemorySinks([MemorySink()]), FULL)
    assert sent.mark() == Mark()


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_stall_says_which_side_it_is(side: str) -> None:
    """The streams do not know."""

    class StalledSource(MemorySource):
        def readinto(self, view: memoryview) -> int:
            if side == "source":
                raise TransferError("no byte")
            return super().readinto(view)

    class StalledSink(MemorySink):
        def writev(self, buffers: object) -> None:
            raise TransferError("no byte")

    with pytest.raises(TransferError) as stalled:
        await run(StalledSource(vhd(content([0]), [0])), StalledSink())
    assert stalled.value.evidence["side"] == side
