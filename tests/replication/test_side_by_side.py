"""The disks of a pass, copied side by side: both ends of each opened, copied and confirmed, or all of them closed."""

import asyncio
from typing import Any

import pytest

from xo_warmig.disks.admission import Admission
from xo_warmig.disks.copy import CopyResult, Sinks
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.sent import SentLog
from xo_warmig.errors import PoolError, TransferError
from xo_warmig.model.passes import DiskPassPlan, Mark, PassKind, PassPlan, PassReport, Verdict
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.disk_copy import DiskCopy
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ports import PassBook
from xo_warmig.replication.verdicts import Begun, judge, parts_of
from xo_warmig.replication.ways import Streams, Ways


class End:
    """One end of a transfer."""

    def __init__(self, pools: "Pools", name: str) -> None:
        self.pools, self.name = pools, name
        self.stream: Any = self
        self.open = True
        pools.ends.append(self)

    async def finish(self) -> None:
        await self.pools.happen(f"finish {self.name}")
        self.open = False

    async def abort(self) -> None:
        await asyncio.sleep(0)
        self.open = False


class Pools:
    """Both pools and the copy between them; what is named in ``failures`` fails, what is in ``hangs`` never ends."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.failures: dict[str, Exception] = {}
        self.hangs: set[str] = set()
        self.slow: set[str] = set()
        self.happened: list[str] = []

    async def happen(self, name: str) -> None:
        self.happened.append(name)
        await asyncio.sleep(0)
        if name in self.slow:
            await asyncio.sleep(0.05)
        if name in self.hangs:
            await asyncio.Event().wait()
        if name in self.failures:
            raise self.failures.pop(name)

    async def open_export(self, vdi: str, *, base: str | None) -> End:
        await self.happen(f"export {vdi}")
        return End(self, f"export {vdi}")

    async def open_import(self, vdi: str) -> End:
        await self.happen(f"import {vdi}")
        return End(self, f"import {vdi}")

    async def copy(
        self, source: Any, sinks: Sinks, order: CopyOrder, *, sent: SentLog, meter: Meter, admission: Admission
    ) -> CopyResult:
        await sinks.first(b"")
        meter.read(100)
        await self.happen(f"copy {source.name.split()[1]}")
        meter.read(100)
        meter.wrote(200)
        return CopyResult(200, 150, 0.5)


def the_plan(count: int = 2, kind: PassKind = PassKind.DELTA) -> PassPlan:
    """``count`` disks."""
    disks = [
        DiskPassPlan(
            disk=f"disk-{n}",
            read_vdi=f"snap-{n}",
            base="base",
            target_vdi=f"copy-{n}",
            virtual_size_bytes=1000,
            skip_zeros=False,
        )
        for n in range(count)
    ]
    return PassPlan(number=2, kind=kind, disks=disks)


async def run(
    pools: Any,
    plan: PassPlan,
    held: dict[str, Any] | None = None,
    interval: float | None = 10.0,
    book: PassBook | None = None,
) -> PassReport:
    """Copy the disks of a plan that began two seconds ago side by side, and judge them."""
    clock, held = SystemClock(), held or {}
    ways = Ways(pools, pools, clock, Streams(pools.copy))
    begun = Begun(1234.0, clock.monotonic() - 2.0, interval)
    copies = [
        DiskCopy(
            disk,
            ways,
            number=plan.number,
            meter=Meter(),
            held=held.get(disk.disk),
            book=book,
            limits=CopyLimits(first_wait_seconds=0.01),
        )
        for disk in plan.disks
    ]
    began = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        copying = [group.create_task(each.run()) for each in copies]
    return judge(plan, [task.result() for task in copying], begun, began, clock.monotonic())


async def test_a_complete_pass_is_measured() -> None:
    """Bytes, throughput, dirty rate, fixed cost and the parts."""
    pools = Pools()
    report = await run(pools, the_plan())
    assert report.verdict is Verdict.COMPLETE
    assert (report.bytes, report.written_bytes) == (400, 300)
    assert report.throughput_bytes_per_second == pytest.approx(400 / 0.5)
    assert report.dirty_bytes_per_second == pytest.approx(40.0)
    assert report.fixed_seconds == pytest.approx(report.seconds - 0.5)
    assert report.seconds >= 2.0
    assert report.snapshot_seconds == pytest.approx(2.0, abs=0.2)
    assert report.started == 1234.0
    assert set(parts_of(report.disks, report.seconds)) == {"open", "transfer", "confirm"}
    assert not any(end.open for end in pools.ends)


async def test_a_full_pass_has_no_dirty_rate() -> None:
    """Nor has a delta of unknown age."""
    assert (await run(Pools(), the_plan(kind=PassKind.FULL))).dirty_bytes_per_second is None
    assert (await run(Pools(), the_plan(), interval=None)).dirty_bytes_per_second is None


STEPS = ["export snap-0", "import copy-0", "copy snap-0", "finish export snap-0", "finish import copy-0"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_disk_that_fails_has_both_ends_closed_and_stops_no_other(step: str) -> None:
    """Whoever runs them decides what becomes of the others; the pass is partial, and no base (R4)."""
    pools = Pools()
    pools.failures[step] = TransferError("cut")
    report = await run(pools, the_plan())
    assert report.verdict is Verdict.PARTIAL
    assert [disk.verdict for disk in report.disks] == [Verdict.FAILED, Verdict.COMPLETE]
    assert report.disks[0].error is not None
    assert report.disks[0].error["message"] == "cut"
    assert not any(end.open for end in pools.ends)


async def test_an_end_that_a_pool_refuses_fails_the_disk() -> None:
    """With the pool's own code."""
    pools = Pools()
    pools.failures["finish import copy-1"] = PoolError("no", code="VDI_IO_ERROR")
    report = await run(pools, the_plan())
    assert [disk.verdict for disk in report.disks] == [Verdict.COMPLETE, Verdict.FAILED]
    assert report.disks[1].error is not None
    assert report.disks[1].error["code"] == "VDI_IO_ERROR"


@pytest.mark.parametrize("step", STEPS)
async def test_a_cancelled_pass_leaves_nothing_open(step: str) -> None:
    """At whatever step of one disk it was."""
    pools = Pools()
    pools.hangs = {step, "copy snap-1"} if step.startswith(("copy", "finish")) else {"copy snap-0", "copy snap-1"}
    task = asyncio.create_task(run(pools, the_plan()))
    while not pools.hangs & set(pools.happened):
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pools.ends) == 4
    assert not any(end.open for end in pools.ends)


async def test_an_end_that_opens_while_the_pass_is_cancelled_is_closed() -> None:
    """Opening is not abandoned half-way."""
    pools = Pools()
    task = asyncio.create_task(run(pools, the_plan(1)))
    while "export snap-0" not in pools.happened:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(end.open for end in pools.ends)


async def test_a_held_import_is_used() -> None:
    """None is opened for its disk."""
    pools = Pools()
    held = {"disk-0": End(pools, "import copy-0")}
    assert (await run(pools, the_plan(), held)).verdict is Verdict.COMPLETE
    assert "import copy-0" not in pools.happened
    assert "import copy-1" in pools.happened


async def test_a_held_import_that_died_is_opened_again_once() -> None:
    """The disk is sent whole, its figures are those of the second time."""
    pools = Pools()
    held = {"disk-0": End(pools, "import copy-0")}
    pools.failures["copy snap-0"] = TransferError("dead", evidence={"side": "target"})
    result = await run(pools, the_plan(1), held)
    assert result.verdict is Verdict.COMPLETE
    assert result.bytes == 200
    assert pools.happened.count("export snap-0") == 2
    assert not any(end.open for end in pools.ends)


async def test_a_source_that_broke_is_a_failure_even_with_a_held_import() -> None:
    """The final pass is never gone on with (R22)."""
    pools = Pools()
    held = {"disk-0": End(pools, "import copy-0")}
    pools.failures["copy snap-0"] = TransferError("dead", evidence={"side": "source"})
    result = await run(pools, the_plan(1), held)
    assert result.verdict is Verdict.FAILED
    assert not any(end.open for end in pools.ends)


async def test_something_unforeseen_is_an_error_without_its_text() -> None:
    """The log has it."""
    pools = Pools()
    pools.failures["copy snap-0"] = ValueError("secret")
    result = await run(pools, the_plan(1))
    assert result.verdict is Verdict.FAILED
    assert result.disks[0].error is not None
    assert "secret" not in str(result.disks[0].error)


class Book:
    """Fits ``PassBook``."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    async def pending(self, disk: str, blocks: bytes) -> None:
        self.told.append((disk, blocks))

    async def mark(self, disk: str, mark: Mark) -> None:
        self.told.append((disk, mark))


async def test_with_a_book_a_disk_goes_on_after_a_break_and_the_others_do_not_notice() -> None:
    """The list is stored first, and the end of each disk last."""
    pools, book = Pools(), Book()
    pools.failures["copy snap-0"] = TransferError("cut", evidence={"side": "target"})
    result = await run(pools, the_plan(), book=book)
    assert result.verdict is Verdict.COMPLETE
    assert [note.code for note in result.disks[0].notes] == ["COPY_INTERRUPTED"]
    assert result.disks[1].notes == []
    for disk in ("disk-0", "disk-1"):
        told = [what for named, what in book.told if named == disk]
        assert told == [b"", Mark(confirmed=1000, sent=1000)]
    assert not any(end.open for end in pools.ends)
