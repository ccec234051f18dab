"""Passes while the source runs: snapshot, copy, judge, and only then let go of the older snapshot."""

import asyncio
import contextlib

from xo_warmig.engine.checks import room_for_snapshots, running_source, target_untouched
from xo_warmig.engine.leftovers import remove_snapshot
from xo_warmig.engine.live import DiskLive, LivePass, guess_bytes, share_of
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.events import (
    Decided,
    Decision,
    Effect,
    EffectFailed,
    EffectIntended,
    PassFinished,
    PassStarted,
    SnapshotTaken,
)
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, Verdict
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.vm import Disk
from xo_warmig.replication.convergence import Budget, Costs, CutOver, PassAgain, decide, explain, predict_downtime
from xo_warmig.replication.plan import kind_of, plan_pass
from xo_warmig.replication.run import Begun, PassRun, run_pass
from xo_warmig.replication.tasks import together, unbroken


async def copy_until_ready(work: Work) -> None:
    """The first pass, then deltas until the cutover is worth it."""
    await work.journal.enter(Phase.COPYING)
    await take_pass(work)
    await work.journal.enter(Phase.SYNCING)
    while True:
        decision = await conclude(work)
        if isinstance(decision, CutOver):
            # The older snapshots stay: nothing is deleted from the last pass before the shutdown until the target runs.
            return
        await destroy_older(work)
        if decision.wait_seconds > 0:
            await work.journal.wait_for(WaitingFor.TIME, "the least time between passes")
            await work.clock.sleep(decision.wait_seconds)
            await work.journal.wait_for(WaitingFor.NOTHING)
        await take_pass(work)


async def take_pass(work: Work) -> None:
    """One pass over snapshots of the running source's disks; raises what it failed of."""
    begin, epoch = work.clock.monotonic(), work.clock.now()
    vm = await running_source(work)
    await room_for_snapshots(work, vm)
    number = len(work.state.passes) + 1
    disks = work.state.plan.vm.disks
    snapshots = await together(*(unbroken(snapshot(work, disk, number)) for disk in disks))
    targets = work.state.target_disks
    plan = plan_pass(
        number=number,
        kind=kind_of(targets) if targets else (PassKind.FULL if number == 1 else PassKind.DELTA),
        disks=disks,
        read={disk.vdi: uuid for disk, uuid in zip(disks, snapshots, strict=True)},
        targets=targets,
        zeroed_srs=work.state.plan.zeroed_srs,
    )
    await target_untouched(work)
    await carry_out(work, plan, Begun(epoch, begin, interval_of(work, plan)))


async def snapshot(work: Work, disk: Disk, number: int) -> str:
    """Freeze one disk; found again by its tag."""
    tag = f"{work.id}/{number}"
    await work.journal.record(EffectIntended(effect=Effect.SNAPSHOT, subject=disk.vdi, tag=tag))
    try:
        uuid = await work.source.snapshot_disk(disk.vdi, tag=tag)
    except PoolError as refusal:
        if not isinstance(refusal, PoolUnreachable):
            await work.journal.record(EffectFailed(effect=Effect.SNAPSHOT, subject=disk.vdi))
        raise
    await work.journal.record(SnapshotTaken(disk=disk.vdi, snapshot=uuid, number=number))
    return uuid


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


async def carry_out(work: Work, plan: PassPlan, begun: Begun) -> PassRun:
    """Run a pass with what is held open for it, shown while it runs; only a complete one returns (R4)."""
    await work.journal.record(PassStarted(plan=plan))
    live = show(work, plan, begun.epoch_seconds)
    held, work.held = work.held, {}
    with work.journal.showing(live):
        ticking = asyncio.create_task(tick(work))
        try:
            run = await run_pass(plan, work.ways, begun=begun, meters=live.meters, held=held)
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
    await work.journal.record(PassFinished(report=run.report))
    if run.report.verdict is not Verdict.COMPLETE:
        raise run.error or WarmigError(f"pass {plan.number} is {run.report.verdict}", code="PASS_INCOMPLETE")
    return run


def show(work: Work, plan: PassPlan, started: float) -> LivePass:
    """The pass as it is shown while it runs."""
    records = {disk.vdi: disk for disk in work.state.plan.vm.disks}
    return LivePass(
        plan,
        started,
        {
            each.disk: DiskLive(
                records[each.disk],
                each.target_vdi,
                guess_bytes(records[each.disk], base=each.base, last_bytes=last_bytes(work, each)),
            )
            for each in plan.disks
        },
        share_of(plan.kind, first=not work.state.passes, progress=work.journal.progress),
    )


def last_bytes(work: Work, plan: DiskPassPlan) -> int | None:
    """What the last delta read of a disk."""
    for report in reversed(work.state.passes):
        if report.kind is PassKind.DELTA:
            return next((disk.read_bytes for disk in report.disks if disk.disk == plan.disk), None)
    return None


async def tick(work: Work) -> None:
    """Tell of progress a few times a second."""
    while True:
        work.journal.publish_progress()
        await work.clock.sleep(work.settings.progress_seconds)


async def conclude(work: Work) -> CutOver | PassAgain:
    """Decide what follows the last pass, and tell why."""
    state, request = work.state, work.state.request
    budget = Budget(request.target_downtime, request.max_passes, request.min_pass_interval)
    predicted = predict_downtime(
        state.passes, Costs(work.shutdown_seconds, work.start_seconds), pending_seconds=pending_seconds(work)
    )
    decision = decide(state.passes, budget, predicted, now=work.clock.now())
    cut_over = isinstance(decision, CutOver)
    await work.journal.record(
        Decided(
            decision=Decision.CUT_OVER if cut_over else Decision.PASS_AGAIN,
            reason=explain(decision, budget),
            predicted_downtime_seconds=predicted,
        )
    )
    if isinstance(decision, CutOver) and not decision.within_budget:
        await work.journal.warn(
            "DOWNTIME_ABOVE_TARGET",
            f"cutting over although {explain(decision, budget)}",
            reason=decision.reason,
            predicted_downtime_seconds=predicted,
            target_downtime_seconds=request.target_downtime,
            remedy="raise targetDowntime, or migrate when the VM writes less",
        )
    return decision


def pending_seconds(work: Work) -> float:
    """How long ago what the target holds was frozen."""
    frozen = [taken(work, disk.base) for disk in work.state.target_disks.values()]
    times = [each for each in frozen if each is not None]
    return max(0.0, work.clock.now() - min(times)) if times else 0.0


async def destroy_older(work: Work) -> None:
    """Destroy our snapshots that are no base any more; one that will not go is tried again at the end."""
    bases = {disk.base for disk in work.state.target_disks.values()}
    for uuid in sorted(work.state.snapshots.keys() - bases):
        await remove_snapshot(work, uuid)
