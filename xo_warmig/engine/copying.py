"""One disk's copy in a pass, and the judgement over all of them."""

import msgspec

from xo_warmig.disks.meter import Meter
from xo_warmig.engine.failures import to_fact
from xo_warmig.engine.work import Work
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, PassKind, PassPlan, PassReport, Verdict
from xo_warmig.replication.run import Begun, run_pass


async def copy_one(work: Work, plan: PassPlan, disk: DiskPassPlan, meter: Meter) -> DiskPassReport:
    """Copy one disk; how it ended is a value. Raises CancelledError with both ends closed and the disks free."""
    alone = PassPlan(number=plan.number, kind=plan.kind, disks=[disk])
    held = work.held.pop(disk.disk, None)
    begun = Begun(work.clock.now(), work.clock.monotonic(), None)
    run = await run_pass(
        alone, work.ways, begun=begun, meters={disk.disk: meter}, held={} if held is None else {disk.disk: held}
    )
    work.parts[disk.disk] = run.parts
    report = run.report.disks[0]
    return report if run.error is None else msgspec.structs.replace(report, error=to_fact(run.error))


def judged(work: Work, plan: PassPlan, *, void: bool = False) -> PassReport:
    """The report of the pass that is open. ``void``: whatever was copied of it counts for nothing."""
    copied = {} if void else work.state.copied
    disks = [copied.get(each.disk) or _untold(each) for each in plan.disks]
    seconds = work.clock.now() - work.state.pass_started
    read_bytes = sum(disk.read_bytes for disk in disks)
    transfer_seconds = min(seconds, max((disk.transfer_seconds for disk in disks), default=0.0))
    complete = sum(disk.verdict is Verdict.COMPLETE for disk in disks)
    verdict = Verdict.COMPLETE if complete == len(disks) else Verdict.PARTIAL if complete else Verdict.FAILED
    growing = interval_of(work, plan) if plan.kind is not PassKind.FULL else None
    return PassReport(
        number=plan.number,
        kind=plan.kind,
        verdict=verdict,
        started=work.state.pass_started,
        seconds=seconds,
        fixed_seconds=seconds - transfer_seconds,
        snapshot_seconds=0.0,
        bytes=read_bytes,
        written_bytes=sum(disk.written_bytes for disk in disks),
        throughput_bytes_per_second=read_bytes / transfer_seconds if transfer_seconds > 0 else 0.0,
        dirty_bytes_per_second=read_bytes / growing if growing else None,
        predicted_downtime_seconds=None,
        disks=disks,
    )


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
