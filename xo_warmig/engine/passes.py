"""Passes: snapshot, copy each disk, judge, and only then let go of the older snapshot."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from xo_warmig.engine.checks import room_for_snapshots, target_untouched, with_coalesced_disks
from xo_warmig.engine.copying import copy_one, judged
from xo_warmig.engine.failures import from_fact
from xo_warmig.engine.final_again import may_begin_again
from xo_warmig.engine.following import foretell_refusal
from xo_warmig.engine.leftovers import remove_snapshot
from xo_warmig.engine.offers import choose_ways, copied_whole, life_now
from xo_warmig.engine.showing import begin_showing, end_showing
from xo_warmig.engine.tracking import track_disks
from xo_warmig.engine.way_back import thaw_target
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.events import (
    BaseVoided,
    DiskCopied,
    Effect,
    EffectFailed,
    EffectIntended,
    PassFinished,
    PassStarted,
    SnapshotTaken,
)
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, PassKind, PassPlan, PassReport, Verdict
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import Disk, Vm
from xo_warmig.replication.plan import kind_of, plan_pass
from xo_warmig.replication.tasks import together, unbroken

# What a pass of one disk may fail of without the whole migration failing: its base is of no use, so it is copied whole (R12: told).
# The last two: no log leads from the base on, of a disk that has no other way.
_VOIDS_BASE = frozenset(
    {"PENDING_NOT_COVERED", "WRONG_EXPORT", "BASE_GONE", "SR_BACKEND_FAILURE_459", "SR_BACKEND_FAILURE_460"}
)
Calling = Callable[[Callable[[], Coroutine[Any, Any, str]]], Awaitable[str]]


async def begin_pass(work: Work) -> None:
    """Snapshot the running source's disks and write down what is going to be copied."""
    await destroy_older(work)
    await thaw_target(work)
    await forget_pending(work)
    vm = await with_coalesced_disks(work)
    await foretell_refusal(work, vm)
    begin = work.clock.monotonic()
    await work.patiently(lambda: room_for_snapshots(work, vm))
    await void_lost_bases(work, vm)
    await track_disks(work)
    before = await life_now(work)
    begun_earlier = work.state.snapshots.keys() | {intent.tag for intent in work.state.unsettled}
    number = len(work.state.passes) + 1
    disks = work.state.plan.vm.disks
    snapshots = await together(*(unbroken(snapshot(work, disk, number)) for disk in disks))
    # R21: the life that they were taken in, where that is sure. A pool that was away meanwhile may have lost a host.
    anew = begun_earlier.isdisjoint([*snapshots, _tag(work, number)])
    life = before if anew and before is not None and await life_now(work) == before else None
    read = {disk.vdi: uuid for disk, uuid in zip(disks, snapshots, strict=True)}
    chosen = await choose_ways(work, read, life)
    for disk, why in copied_whole(work, chosen).items():
        await void_base(work, disk, why)
    targets = work.state.target_disks
    plan = plan_pass(
        number=number,
        kind=kind_of(targets) if targets else (PassKind.FULL if number == 1 else PassKind.DELTA),
        disks=disks,
        read=read,
        targets=targets,
        zeroed_srs=work.state.plan.zeroed_srs,
        chosen=chosen,
    )
    await work.patiently(lambda: target_untouched(work))
    seconds = work.clock.monotonic() - begin
    await work.journal.record(PassStarted(plan=plan, snapshot_seconds=seconds, life=life))


def _tag(work: Work, number: int) -> str:
    """Of the snapshots of a pass."""
    return f"{work.id}/{number}"


async def forget_pending(work: Work) -> None:
    """After a complete pass nothing of it, or of an earlier one, is pending any more (R18)."""
    if work.state.passes and work.state.passes[-1].verdict is Verdict.COMPLETE:
        await work.store.forget_pending(work.id)


async def void_lost_bases(work: Work, vm: Vm) -> None:
    """R18: a base is bound to the disk's own snapshot; where that was removed or the disk reverted, the pass is a full one."""
    for disk in vm.disks:
        target = work.state.target_disks.get(disk.vdi)
        if target is not None and target.base is not None and target.base not in disk.snapshots:
            await void_base(work, disk.vdi, "the snapshot that it is the copy of is gone from the source")


async def void_base(work: Work, disk: str, reason: str) -> None:
    """The next pass of this disk is a full one, and that is told (R12)."""
    await work.journal.record(BaseVoided(disk=disk, reason=reason))
    await work.journal.warn("COPIED_ANEW", f"disk {disk} is copied whole again: {reason}", rule="R18", disk=disk)


async def snapshot(work: Work, disk: Disk, number: int, calling: Calling | None = None) -> str:
    """Freeze one disk; found again by its tag. ``calling``: how a pool that is away is borne, with patience unless told otherwise."""
    tag, calling = _tag(work, number), calling or work.patiently
    await work.journal.record(EffectIntended(effect=Effect.SNAPSHOT, subject=disk.vdi, tag=tag))
    try:
        take = work.source.snapshot_disk
        uuid = await calling(lambda: take(disk.vdi, tag=tag, epoch=work.state.epoch))
    except PoolError as refusal:
        if not isinstance(refusal, PoolUnreachable):
            await work.journal.record(EffectFailed(effect=Effect.SNAPSHOT, subject=disk.vdi))
        raise
    await work.journal.record(SnapshotTaken(disk=disk.vdi, snapshot=uuid, number=number))
    return uuid


def disks_to_copy(work: Work) -> list[str]:
    """The source disks of the open pass that have no report yet."""
    plan = work.state.open_pass
    return [] if plan is None else [each.disk for each in plan.disks if each.disk not in work.state.copied]


async def copy_disk_of_pass(work: Work, number: int, disk: str) -> None:
    """One disk's part of pass ``number``, and the record of how it ended; nothing when that pass is not open any more.

    A first disk that fails for good stops the others; a cancel or a pause stops all, and leaves no report.
    """
    plan = work.state.open_pass
    if plan is None or plan.number != number or disk in work.state.copied:
        return
    (mine,) = [each for each in plan.disks if each.disk == disk]
    report = await work.interruptible(carry_out(work, plan, mine))
    await work.journal.record(DiskCopied(number=number, report=report))
    if report.verdict is not Verdict.COMPLETE:
        work.interrupt()


async def carry_out(work: Work, plan: PassPlan, disk: DiskPassPlan) -> DiskPassReport:
    """Copy a disk with what is held open for it, shown while it runs."""
    live = begin_showing(work, plan)
    return await copy_one(work, plan, disk, live.meters[disk.disk])


async def judge_pass(work: Work) -> None:
    """Put the disks' reports together (R4). A complete pass leads on; what a broken one leads to depends on why it broke."""
    plan = work.state.open_pass
    if plan is None:
        return
    report = judged(work, plan)
    end_showing(work)
    await tell_notes(work, report)
    await work.journal.record(PassFinished(report=report))
    if report.verdict is Verdict.COMPLETE:
        if plan.kind is PassKind.FINAL:  # pending until it was read back, too
            await work.journal.enter(Phase.VERIFYING)
        else:
            await forget_pending(work)
            await work.journal.enter(Phase.SYNCING)
        return
    broken = [each for each in report.disks if each.verdict is Verdict.FAILED]
    if plan.kind is PassKind.FINAL:
        if await may_begin_again(work, plan, [from_fact(each.error or {}) for each in broken]):
            return
    elif all([await is_passable(work, disk) for disk in broken]):
        return
    raise from_fact(
        broken[0].error or {"message": f"pass {plan.number} is {report.verdict}", "code": "PASS_INCOMPLETE"}
    )


async def tell_notes(work: Work, report: PassReport) -> None:
    """What the copies had to bear is told (R12): breaks, and what was sent again because of them."""
    for disk in report.disks:
        for note in disk.notes:
            await work.journal.warn(
                note.code, f"pass {report.number}, disk {disk.disk}: {note.message}", disk=disk.disk
            )


async def is_passable(work: Work, disk: DiskPassReport) -> bool:
    """Whether another pass over a running VM may do better than this disk's broken part."""
    error = from_fact(disk.error or {})
    target = work.state.target_disks[disk.disk]
    if error.code in _VOIDS_BASE and target.base is not None:
        await void_base(work, disk.disk, error.message)
        return True
    return False


async def destroy_older(work: Work) -> None:
    """Destroy our snapshots that are no base any more; one that will not go is tried again at the end."""
    bases = {disk.base for disk in work.state.target_disks.values()}
    for uuid in sorted(work.state.snapshots.keys() - bases):
        await remove_snapshot(work, uuid)
