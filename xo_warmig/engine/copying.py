"""One disk's copy in a pass, written down as it goes; and the judgement over all of them."""

import msgspec

from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.meter import Meter
from xo_warmig.engine.failures import to_fact
from xo_warmig.engine.reading_back import is_in_downtime, read_back_copied, table_of
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, Mark, PassKind, PassPlan, PassReport, Verdict
from xo_warmig.model.phases import WaitingFor
from xo_warmig.replication.disk_copy import DiskCopy
from xo_warmig.replication.verdicts import Begun, judge


class Book:
    """Where a pass writes down what must outlive the process. Fits ``replication.ports.PassBook``."""

    def __init__(self, work: Work, number: int) -> None:
        self._work = work
        self._number = number

    async def pending(self, disk: str, blocks: bytes) -> None:
        await self._work.store.put_pending(self._work.id, disk, blocks)

    async def mark(self, disk: str, mark: Mark) -> None:
        await self._work.store.put_mark(self._work.id, disk, self._number, mark)


async def copy_one(work: Work, plan: PassPlan, disk: DiskPassPlan, meter: Meter) -> DiskPassReport:
    """Copy one disk; how it ended is a value. Raises CancelledError with both ends closed and the disks free."""
    try:
        with table_of(work, plan, disk) as table:
            return await copy_and_read_back(work, plan, disk, meter, table)
    except WarmigError as error:  # of the table: what befalls the disks is in the report
        return msgspec.structs.replace(_untold(disk), verdict=Verdict.FAILED, error=to_fact(error))


async def copy_and_read_back(
    work: Work, plan: PassPlan, disk: DiskPassPlan, meter: Meter, table: BlockTable | None
) -> DiskPassReport:
    """Copy, and compare what is on the target then; of a final pass that is done when all of its disks are there."""
    report = await copy(work, plan, disk, meter, table)
    if table is None or plan.kind is PassKind.FINAL or report.verdict is not Verdict.COMPLETE:
        return report
    return await read_back_copied(work, plan, disk, table, report)


async def copy(
    work: Work, plan: PassPlan, disk: DiskPassPlan, meter: Meter, table: BlockTable | None
) -> DiskPassReport:
    """The copy alone."""
    in_downtime = is_in_downtime(work, plan)
    copying = DiskCopy(
        disk,
        work.ways,
        number=plan.number,
        meter=meter,
        held=work.held.pop(disk.disk, None),
        book=Book(work, plan.number),
        mark=work.store.mark(work.id, disk.disk, plan.number),
        pending=work.store.pending(work.id, disk.disk),
        final=plan.kind is PassKind.FINAL,
        urgent=in_downtime,
        limits=work.settings.copy_limits,
        throttle=work.pacing.throttle(work.way, in_downtime=in_downtime),
        table=table,
        tell=work.teller_of(disk.disk, WaitingFor.SLOT),
        tell_away=work.teller_of(disk.disk, WaitingFor.POOL),
    )
    report = await copying.run()
    return report if copying.error is None else msgspec.structs.replace(report, error=to_fact(copying.error))


def judged(work: Work, plan: PassPlan, *, void: bool = False) -> PassReport:
    """The report of the pass that is open. ``void``: whatever was copied of it counts for nothing."""
    copied = {} if void else work.state.copied
    reports = [copied.get(each.disk) or _untold(each) for each in plan.disks]
    now, started = work.clock.now(), work.state.pass_started
    begun = Begun(started - work.state.snapshot_seconds, started - work.state.snapshot_seconds, interval_of(work, plan))
    return judge(plan, reports, begun, started, now)


def interval_of(work: Work, plan: PassPlan) -> float | None:
    """How long this delta grew: from the base's snapshot to the new one. None when an earlier attempt took the base."""
    if not plan.disks:
        return work.clock.now() - work.state.passes[-1].started if work.state.passes else None
    intervals = []
    for disk in plan.disks:
        base, read = taken(work, disk.base), taken(work, disk.read_vdi)
        if base is None or read is None:
            return None
        intervals.append(read - base)
    return max(intervals)


def taken(work: Work, snapshot_uuid: str | None) -> float | None:
    """When a snapshot of ours was taken."""
    known = work.state.snapshots.get(snapshot_uuid or "")
    return None if known is None else known.taken


def _untold(disk: DiskPassPlan) -> DiskPassReport:
    """Of a disk that was stopped because another one failed."""
    return DiskPassReport(
        disk=disk.disk, verdict=Verdict.PARTIAL, read_bytes=0, written_bytes=0, seconds=0.0, transfer_seconds=0.0
    )
