"""One disk's copy over breaks of every kind: whatever breaks where, the target is as the source, and little is sent twice."""

import asyncio
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disks.memory import budget_is_whole, vhd
from tests.replication.memory_pools import BLOCKS, DELTA, DISK, SIZE, SMALL, STREAM, Break, MemoryPools
from xo_warmig.disks.admission import BUDGET
from xo_warmig.disks.budget import MOST_COPIES
from xo_warmig.disks.pace import Limit, Share
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import FormatError, PoolError, PoolUnreachable, SafetyError, TransferError, WarmigError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.images import QCOW2
from xo_warmig.model.passes import DiskPassReport, Mark, Verdict
from xo_warmig.model.units import MIB

SENT_ONCE = len(BLOCKS) * BLOCK_BYTES - 4 * (BLOCK_BYTES - 640 * 1024)
PIECE = BLOCK_BYTES


def codes(report: DiskPassReport) -> list[str]:
    return [note.code for note in report.notes]


def sent_twice(pools: MemoryPools) -> int:
    return pools.took_bytes - SENT_ONCE


@pytest.mark.parametrize("why", ["too large", "qcow2"])
async def test_a_target_that_no_export_can_read_back_is_sent_again(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """From what is confirmed, as no VHD can hold its disk, or it is kept as no VHD; told, and nothing is compared."""
    pools = MemoryPools([Break("target", 9 * MIB)])
    if why == "too large":
        monkeypatch.setattr("xo_warmig.replication.exports.MOST_SIZE_BYTES", 0)
    else:
        pools.keeps_as = QCOW2
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE
    assert bytes(pools.disk) == DISK
    assert "back" not in pools.opened
    assert "COPY_SENT_AGAIN" in codes(report)


async def test_a_copy_without_breaks_is_confirmed_in_slices() -> None:
    """Each mark tells what is confirmed; the last one all of the disk."""
    pools = MemoryPools()
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE
    assert bytes(pools.disk) == DISK
    assert pools.opened == ["source", "target", "target"]
    assert pools.book is not None
    assert pools.book.last == Mark(confirmed=SIZE, sent=SIZE)
    assert sorted({mark.confirmed for mark in pools.book.marks} - {0}) == [22 * MIB, SIZE]
    assert report.read_bytes == len(BLOCKS) * BLOCK_BYTES
    assert report.written_bytes == pools.took_bytes == SENT_ONCE
    assert report.notes == []


BREAKS = st.one_of(
    st.builds(Break, st.just("target"), st.integers(0, 14 * MIB), st.sampled_from([0, 0, MIB, 4 * MIB])),
    st.builds(Break, st.just("source"), st.integers(0, len(STREAM) - 1), st.just(0)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(BREAKS, max_size=5))
async def test_whatever_breaks_the_target_is_as_the_source_and_little_is_sent_twice(breaks: list[Break]) -> None:
    """As long as no more is lost than is sent again anyway, each break costs that and two pieces at most.

    One was cut; in the other what is sent again begins.
    """
    pools = MemoryPools(breaks)
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE, report.error
    assert bytes(pools.disk) == DISK
    assert sent_twice(pools) <= len(breaks) * (SMALL.resend_bytes + 2 * PIECE)
    assert report.read_bytes == len(BLOCKS) * BLOCK_BYTES


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.builds(Break, st.just("target"), st.integers(0, 14 * MIB), st.integers(0, 9 * MIB)), max_size=4),
    st.sampled_from([0.0, 4.0, 100.0]),
    st.sampled_from([None, Break("back", 5 * MIB)]),
)
async def test_what_a_pool_lost_is_found_and_sent_again(
    breaks: list[Break], most_read_back: float, unreadable: Break | None
) -> None:
    """However much it was, whether the target can be read back or not: never more than a slice, and what was in flight."""
    pools = MemoryPools([*breaks, unreadable])
    report = await pools.copy(limits=msgspec.structs.replace(SMALL, most_read_back=most_read_back))
    assert report.verdict is Verdict.COMPLETE, report.error
    assert bytes(pools.disk) == DISK
    assert sent_twice(pools) <= len(breaks) * (SMALL.slice_bytes + PIECE)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 25 * MIB), st.integers(0, 4 * MIB), st.booleans())
async def test_a_copy_goes_on_after_the_server_was_killed(at: int, lost: int, fresh: bool) -> None:
    """From what the book has, which is a little less than what was sent."""

    pools = MemoryPools() if fresh else MemoryPools(disk=b"\xff" * SIZE)
    ways = {"skip_zeros": fresh, "zero_unallocated": not fresh}
    before = pools.copying(**ways)
    task = asyncio.create_task(before.run())
    while not task.done() and pools.took_bytes < at:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert not any(end.open for end in pools.ends)
    assert pools.book is not None
    for end in pools.ends:
        if end.name == "target" and not end.stream.ended:
            end.stream._broken = Break("target", 0, lost)
            end.stream._lose()
    marks = pools.book.marks
    report = await pools.copy(mark=pools.book.last, pending=pools.book.blocks, **ways)
    assert report.verdict is Verdict.COMPLETE, report.error
    assert bytes(pools.disk) == DISK
    assert marks[-1] == Mark(confirmed=SIZE, sent=SIZE)


async def test_a_disk_that_is_complete_already_is_not_opened() -> None:
    """The server was killed between the last confirmation and the report."""
    pools = MemoryPools()
    report = await pools.copy(mark=Mark(confirmed=SIZE, sent=SIZE))
    assert report.verdict is Verdict.COMPLETE
    assert pools.opened == []


@pytest.mark.parametrize("blocks", [[], [3], [0, 15], BLOCKS])
async def test_a_full_pass_over_a_used_disk_leaves_nothing_of_it(blocks: list[int]) -> None:
    """R20, with breaks in the middle."""
    stream = vhd(DISK, blocks)
    disk = bytearray(SIZE)
    for block in blocks:
        disk[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES] = DISK[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
    breaks = [Break("target", 11 * MIB, MIB), Break("target", 9 * MIB)]
    pools = MemoryPools(breaks, stream=stream, disk=b"\xff" * SIZE)
    report = await pools.copy(skip_zeros=False, zero_unallocated=True)
    assert report.verdict is Verdict.COMPLETE
    assert bytes(pools.disk) == bytes(disk)
    assert pools.book is not None
    assert pools.book.blocks == b"\xff\xff"


async def test_a_delta_goes_on_too() -> None:
    """Its blocks and no others are written, zeros included; reading the whole target back would not pay for them."""
    old = b"\xff" * SIZE
    pools = MemoryPools([Break("target", 5 * MIB)], stream=DELTA, disk=old)
    report = await pools.copy(base="base", skip_zeros=False, limits=msgspec.structs.replace(SMALL, most_read_back=4.0))
    assert report.verdict is Verdict.COMPLETE
    for block in range(16):
        expected = DISK if block in (2, 5, 9) else old
        here = slice(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)
        assert pools.disk[here] == expected[here]
    assert report.read_bytes == 3 * BLOCK_BYTES


@pytest.mark.parametrize("pending", [bytes([0b00100100, 0b01000000]), bytes([0b00100000, 0]), b""])
async def test_a_list_that_has_all_that_is_pending_is_good(pending: bytes) -> None:
    """R18."""
    pools = MemoryPools(stream=DELTA)
    assert (await pools.copy(base="base", skip_zeros=False, pending=pending)).verdict is Verdict.COMPLETE


async def test_pending_blocks_that_the_stream_lacks_fail_the_pass_before_a_byte_is_sent() -> None:
    """R18: whoever has the plan makes a full copy of it."""
    pools = MemoryPools(stream=DELTA)
    report = await pools.copy(base="base", skip_zeros=False, pending=bytes([0b01100000, 0]))
    assert report.verdict is Verdict.FAILED
    assert report.error is not None
    assert report.error["code"] == "PENDING_NOT_COVERED"
    assert report.error["evidence"] == {"side": "source", "disk": "disk-0", "blocks": 1}
    assert pools.took_bytes == 0
    assert pools.book is not None
    assert pools.book.blocks is None
    assert pools.opened == ["source", "target"]


AWAY = PoolUnreachable("no answer")
LOST = TransferError("forgotten", code="TASK_LOST", evidence={"side": "target"})
NO_HOST = TransferError("no connection", code="HOST_UNREACHABLE")


@pytest.mark.parametrize("error", [AWAY, NO_HOST])
async def test_after_the_target_was_away_only_what_is_confirmed_counts(error: WarmigError) -> None:
    """Its host may have been lost, and what it had not written yet; told as a note."""
    pools = MemoryPools([Break("target", 11 * MIB), Break("target", 6 * MIB)])
    pools.fail_open["back"] = [error]
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE
    assert bytes(pools.disk) == DISK
    assert "COPY_SENT_AGAIN" in codes(report)
    assert sent_twice(pools) >= 11 * MIB
    assert any("lost" in note.message for note in report.notes)


async def test_after_a_lost_task_only_what_is_confirmed_counts() -> None:
    """A slice that nobody can confirm is sent again; the one before stands."""
    pools = MemoryPools()
    pools.fail_finish = [None, LOST]
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE
    assert codes(report) == ["COPY_SENT_AGAIN", "COPY_INTERRUPTED", "COPY_RESUMED"]
    assert "back" not in pools.opened
    assert 0 < sent_twice(pools) <= SMALL.slice_bytes


async def test_a_source_that_was_away_costs_little() -> None:
    """What the target has is not in doubt."""
    pools = MemoryPools([Break("target", 11 * MIB)])
    pools.fail_open["source"] = [AWAY, AWAY]
    pools._breaks["source"] = []
    report = await pools.copy()
    assert report.verdict is Verdict.COMPLETE
    assert sent_twice(pools) <= SMALL.resend_bytes + PIECE


async def test_it_gives_up_after_so_many_failures_without_progress() -> None:
    """The waits double; the last error is the one that is told."""
    pools = MemoryPools([Break("target", 5 * MIB)] * 20)
    report = await pools.copy()
    assert report.verdict is Verdict.FAILED
    assert report.error is not None
    assert "the target hung up" in str(report.error["message"])
    assert pools.opened.count("source") == 1 + SMALL.tries - 1
    assert pools.clock.slept == pytest.approx([1, 2, 4, 8, 16], rel=0.2)


async def test_progress_resets_the_count() -> None:
    """Each attempt comes a little further."""
    breaks = [Break("target", at) for at in (3 * MIB, 5 * MIB, 7 * MIB, 9 * MIB, 9 * MIB, 9 * MIB, 9 * MIB, 9 * MIB)]
    pools = MemoryPools(breaks)
    report = await pools.copy(limits=msgspec.structs.replace(SMALL, tries=3))
    assert report.verdict is Verdict.COMPLETE
    assert bytes(pools.disk) == DISK


async def test_a_pool_that_is_away_is_waited_for_but_not_for_ever() -> None:
    """As long as the settings say."""
    pools = MemoryPools()
    pools.fail_open["target"] = [PoolUnreachable("no answer") for _ in range(200)]
    begun = pools.clock.monotonic()
    report = await pools.copy()
    assert report.verdict is Verdict.FAILED
    assert 3600 <= pools.clock.monotonic() - begun <= 3700  # a busy machine's own time counts as well
    assert max(pools.clock.slept) <= 72
    pools = MemoryPools()
    pools.fail_open["target"] = [PoolUnreachable("no answer") for _ in range(20)]
    assert (await pools.copy()).verdict is Verdict.COMPLETE


@pytest.mark.parametrize(
    "error",
    [
        FormatError("no VHD"),
        TransferError("resized", code="DISK_RESIZED"),
        TransferError("still attached", code="DISK_STILL_ATTACHED"),
        PoolError("no", code="VDI_IO_ERROR"),
    ],
)
async def test_what_does_not_pass_fails_at_once(error: WarmigError) -> None:
    """Without a second try."""
    pools = MemoryPools()
    pools.fail_open["target"] = [error]
    report = await pools.copy()
    assert report.verdict is Verdict.FAILED
    assert report.error == error.as_dict()
    assert pools.clock.slept == []


@pytest.mark.parametrize("final", [False, True])
async def test_a_disk_that_was_not_let_go_of_is_not_opened_again(final: bool) -> None:
    """R10, R16: what to do then is for others to decide; so too where an import stood open for the final pass, and died."""
    pools = MemoryPools([Break("target", MIB)])
    opened = pools.open_import

    async def sticky(vdi: str) -> Any:
        end = await opened(vdi)
        close = end.abort

        async def abort() -> None:
            await close()
            raise TransferError("held", code="DISK_STILL_ATTACHED")

        end.abort = abort  # type: ignore[method-assign]
        return end

    pools.open_import = sticky  # type: ignore[method-assign]
    held = await pools.open_import("copy-0") if final else None
    report = await pools.copy(final=final, held=held)
    assert report.error is not None
    assert report.error["code"] == "DISK_STILL_ATTACHED"
    assert sorted(pools.opened) == ["source", "target"]


async def test_a_book_that_refuses_stops_the_copy() -> None:
    """Somebody else has taken over, perhaps."""
    pools = MemoryPools()
    assert pools.book is not None
    pools.book.failure = SafetyError("not yours any more")
    report = await pools.copy()
    assert report.error is not None
    assert report.error["message"] == "not yours any more"


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_final_pass_is_never_gone_on_with(side: str) -> None:
    """R22; its list is stored all the same (R18), and it is not cut into slices."""
    pools = MemoryPools([Break(side, 9 * MIB)])
    report = await pools.copy(final=True, mark=Mark(confirmed=4 * MIB, sent=4 * MIB))
    assert report.verdict is Verdict.FAILED
    assert pools.opened == ["source", "target"]
    whole = MemoryPools()
    assert (await whole.copy(final=True, mark=Mark(confirmed=4 * MIB, sent=4 * MIB))).verdict is Verdict.COMPLETE
    assert bytes(whole.disk) == DISK
    assert whole.opened == ["source", "target"]
    assert whole.book is not None
    assert whole.book.blocks is not None
    assert whole.book.marks == []


@pytest.mark.parametrize(("at", "verdict"), [(MIB, Verdict.COMPLETE), (12 * MIB, Verdict.FAILED)])
async def test_a_held_import_that_died_idle_is_opened_again_in_a_final_pass(at: int, verdict: Verdict) -> None:
    """One that took what no buffer holds was not idle."""
    pools = MemoryPools([Break("target", at)])
    held = await pools.open_import("copy-0")
    report = await pools.copy(final=True, held=held)
    assert report.verdict is verdict
    if verdict is Verdict.COMPLETE:
        assert bytes(pools.disk) == DISK
        assert report.written_bytes == SENT_ONCE


@pytest.mark.parametrize("after", range(0, 24, 3))
async def test_cancelling_leaves_nothing_open(after: int) -> None:
    """R10, wherever it was, between two attempts too."""
    pools = MemoryPools([Break("target", 6 * MIB), Break("source", 10 * MIB)])
    task = asyncio.create_task(pools.copying().run())
    while not task.done() and pools.took_bytes < after * MIB:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() or task.result().verdict is Verdict.COMPLETE
    assert not any(end.open for end in pools.ends)


async def test_without_a_book_nothing_is_gone_on_with() -> None:
    """Nobody would know of it after a crash (R18)."""
    pools = MemoryPools([Break("target", 6 * MIB)])
    pools.book = None
    report = await pools.copy()
    assert report.verdict is Verdict.FAILED
    assert pools.opened == ["source", "target"]


async def test_a_copy_that_is_held_to_a_limit_goes_on_after_breaks_as_any_other() -> None:
    """In pieces as small as a slow limit wants them, and it tells that it was held back."""
    pools = MemoryPools([Break("target", 9 * MIB), Break("source", 17 * MIB)])
    rate = 20 * MIB  # so slow that a busy machine has to wait for it, too
    throttle = Throttle([Share(Limit(lambda: rate))], piece_bytes=64 * 1024)
    begin = time.monotonic()
    report = await pools.copy(throttle=throttle)
    assert report.verdict is Verdict.COMPLETE, report.error
    assert bytes(pools.disk) == DISK
    assert sent_twice(pools) <= 2 * (SMALL.resend_bytes + PIECE)
    # What is skipped to come back to where it broke passes under the limit too.
    assert time.monotonic() - begin >= 0.9 * len(BLOCKS) * BLOCK_BYTES / rate
    assert 0.3 < report.held_back_seconds < report.transfer_seconds * 1.5


async def test_a_copy_that_is_one_too_many_opens_nothing_until_it_is_its_turn() -> None:
    """Not its source, and no import that would stand idle; it says what it waits for, and may be cancelled."""
    told: list[str] = []

    async def tell(why: str) -> None:
        told.append(why)

    places = [BUDGET.enter().result(timeout=1) for _ in range(MOST_COPIES)]
    pools, cancelled = MemoryPools(), MemoryPools()
    waiting = [asyncio.create_task(each.copy(tell=tell)) for each in (pools, cancelled)]
    async with asyncio.timeout(10):
        while len(told) < 2:
            await asyncio.sleep(0.01)
        waiting[1].cancel()
        await asyncio.wait({waiting[1]})
        assert pools.opened == cancelled.opened == []
        for place in places:
            place.leave()
        report = await waiting[0]
    assert report.verdict is Verdict.COMPLETE
    assert sorted(told, key=bool) == ["", "", *["as many disks as may be are copied by this server"] * 2]
    assert budget_is_whole()


async def test_a_source_that_does_not_open_leaves_no_import_waiting() -> None:
    """Whichever comes first."""
    pools = MemoryPools()
    pools.fail_open["source"] = [TransferError("no", code="HTTP_403")]
    report = await pools.copy()
    assert report.verdict is Verdict.FAILED
    assert report.error is not None
    assert report.error["code"] == "HTTP_403"
