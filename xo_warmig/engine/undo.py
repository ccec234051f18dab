"""The way back: the source as it was found, then the copy kept or dropped (R5, R6).

Runs on failure, on cancel and on a roll-back that was asked for. The source comes first: what it needs is waited for; what only leaves
something lying about is not, but remembered. Every part may run twice (R11).
"""

import logging

from xo_warmig.engine.checks import DOOR_LOST
from xo_warmig.engine.detaching import see_detached
from xo_warmig.engine.door import release_door
from xo_warmig.engine.failures import as_warmig, from_fact, to_fact
from xo_warmig.engine.leftovers import (
    leave,
    remove_own_left,
    remove_snapshot,
    remove_target_disk,
    remove_target_vm,
    tidy,
)
from xo_warmig.engine.prepare import make_disk, make_vm
from xo_warmig.engine.restoring import restore_source
from xo_warmig.engine.showing import end_showing
from xo_warmig.engine.tracking import leave_tracking, untrack_disks
from xo_warmig.engine.voiding import voided_by
from xo_warmig.engine.way_back import drop_frozen, revert_target, take
from xo_warmig.engine.work import Work
from xo_warmig.errors import Cancelled, NoSuchObject, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.model.events import BaseVoided, CopyKept, Effect, EffectFailed, EffectIntended, Failed, SnapshotTaken
from xo_warmig.model.phases import Phase
from xo_warmig.model.plans import KeptDisk, TargetDisk
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.model.vm import PowerState

log = logging.getLogger("xo_warmig.engine")

# A target whose changes are thrown away is asked to shut down, and not for long.
_DISCARDED = ShutdownPolicy(timeout=120, force=ForceShutdown.ALWAYS)


async def go_back(work: Work, error: WarmigError) -> None:
    """Enter the way back, and say at once why: whoever watches need not wait for the undoing to learn it."""
    cancelled = isinstance(error, Cancelled) and not work.state.start_asked
    if work.state.phase is Phase.PLANNED:
        await work.journal.enter(Phase.CANCELLED if cancelled else Phase.FAILED, Failed(error=to_fact(error)))
        return
    end_showing(work)
    back = Phase.CANCELLING if cancelled else Phase.ROLLING_BACK
    await work.journal.enter(back, Failed(error=to_fact(error)), *voided_by(work.state, error))


async def finish_undo(work: Work) -> None:
    """The way back to its end: cancelled when that was asked for, else failed; failed also when the source could not be given back."""
    error = from_fact(work.state.error or {})
    end = Phase.CANCELLED if work.state.phase is Phase.CANCELLING else Phase.FAILED
    if DOOR_LOST in (error.code, work.trouble.code if work.trouble is not None else ""):
        # Another server has the VM: to touch anything now would be two that drive it (R16).
        await work.drop_held()
        await leave_tracking(work)
        await work.journal.enter(Phase.FAILED)
        return
    try:
        if work.state.rollback_asked and await stop_target(work):
            await revert_target(work)
        await undo(work)
    except Exception as failure:
        trouble = not_restored(error, as_warmig(failure))
        await leave_tracking(work)
        await work.journal.enter(Phase.FAILED, Failed(error=to_fact(trouble)))
        return
    if work.state.left:
        error.evidence["left"] = [{"pool": each.pool, "kind": each.kind, "uuid": each.uuid} for each in work.state.left]
        await work.journal.enter(end, Failed(error=to_fact(error)))
    else:
        await work.journal.enter(end)


def rolled_back(work: Work) -> WarmigError:
    """Why a migration that was rolled back after its target's start has failed."""
    return WarmigError(
        "the migration was rolled back; what the target wrote since its start is discarded",
        code="ROLLED_BACK",
        evidence={"target": work.state.target_vm, "discarded_since": target_runs_since(work)},
    )


def target_runs_since(work: Work) -> float | None:
    """Since when the target may hold writes that the source has not, in seconds since the epoch."""
    downtime, asked = work.state.downtime, work.state.shutdown_asked
    return None if asked is None else asked + (downtime.seconds if downtime is not None else 0.0)


async def stop_target(work: Work) -> bool:
    """Its changes are to be discarded: blocked first, so that nothing starts it again, then off. False when it is gone already."""
    target = work.state.target_vm
    if target is None:
        return False
    blocked = work.state.target_blocked
    try:
        await work.once_back(lambda: work.tried(lambda: work.target.block_operations(target, blocked)))
        if await work.once_back(lambda: work.target.power_state(target)) is not PowerState.HALTED:
            await work.once_back(lambda: work.tried(lambda: work.target.shut_down(target, _DISCARDED)))
    except NoSuchObject:
        return False
    return True


def not_restored(error: WarmigError, trouble: WarmigError) -> WarmigError:
    """The failure of the way back, with what led to it."""
    return SafetyError(
        f"{error.message}; and the source could not be given back: {trouble.message}",
        code="ROLL_BACK_FAILED",
        evidence={"cause": to_fact(error), "roll_back": to_fact(trouble)},
        remedy=trouble.remedy or "see to the source VM by hand; nothing more is done to it",
    )


async def undo(work: Work) -> None:
    """Give the source back and settle the copy.

    Raises:
        WarmigError: the source could not be given back; the copy was settled all the same.
    """
    await work.drop_held()
    failure: WarmigError | None = None
    try:
        await restore_source(work)
    except WarmigError as error:
        log.error("migration %s: the source could not be given back: %s", work.id, error)
        failure = error
    await settle_intents(work)
    await see_detached(work, work.target, [disk.vdi for disk in work.state.target_disks.values()])
    await see_detached(work, work.source, list(work.state.snapshots))
    await drop_frozen(work)
    if not work.state.drops_copy and work.state.moved_data:
        await keep_copy(work)
    else:
        await drop_copy(work)
    await remove_own_left(work)
    await tidy(work)
    if failure is not None:
        raise failure
    await release_door(work)


async def settle_intents(work: Work) -> None:
    """Find what was made while the answer was lost: the same call again finds it by its tag (R11), so that it can be removed."""
    for intent in work.state.unsettled:
        try:
            await work.for_a_while(lambda intent=intent: find_again(work, intent))  # type: ignore[misc]
        except PoolUnreachable as away:
            pool = work.source if intent.effect is Effect.SNAPSHOT else work.target
            await leave(work, pool, f"intended {intent.effect}", intent.tag, str(away))
        except WarmigError:
            # Refused again: there is nothing to be found.
            await work.journal.record(EffectFailed(effect=intent.effect, subject=intent.subject))


async def find_again(work: Work, intent: EffectIntended) -> None:
    match intent.effect:
        case Effect.TARGET_VM:
            await make_vm(work)
        case Effect.TARGET_DISK:
            await make_disk(work, next(disk for disk in work.state.plan.vm.disks if disk.vdi == intent.subject))
        case Effect.TARGET_SNAPSHOT:
            await take(work, intent.subject, intent.tag)
        case Effect.SNAPSHOT:
            uuid = await work.source.snapshot_disk(intent.subject, tag=intent.tag, epoch=work.state.epoch)
            number = int(intent.tag.rpartition("/")[2])
            await work.journal.record(SnapshotTaken(disk=intent.subject, snapshot=uuid, number=number))


async def keep_copy(work: Work) -> None:
    """Leave the target, its disks and the bases for the next attempt, and nothing else.

    Where the source's storage runs short of what snapshots need, the bases go too: they must not stall the pool's VMs (R19).
    """
    if is_short_of_room(work) and not work.state.kept:
        await give_up_bases(work)
    sizes = {disk.vdi: disk.virtual_size_bytes for disk in work.state.plan.vm.disks}
    kept = [
        KeptDisk(
            disk=disk,
            virtual_size_bytes=sizes[disk],
            target=target,
            tracked=disk in work.state.tracking and target.base is not None,
            life=known.life if (known := work.state.snapshots.get(target.base or "")) is not None else None,
        )
        for disk, target in ((disk, _as_kept(work, disk, target)) for disk, target in work.state.target_disks.items())
    ]
    if not work.state.kept:
        until = work.clock.now() + work.settings.retention_seconds
        await work.journal.record(CopyKept(disks=kept, until=until))
    await untrack_disks(work)  # of disks that have no base
    bases = {each.target.base for each in kept}
    for uuid in sorted(work.state.snapshots.keys() - bases):
        await remove_snapshot(work, uuid)


def is_short_of_room(work: Work) -> bool:
    """Whether it failed because no more snapshots may be taken on the source."""
    evidence = (work.state.error or {}).get("evidence")
    return isinstance(evidence, dict) and evidence.get("rule") == "R19"


async def give_up_bases(work: Work) -> None:
    """Our own snapshots are what we can take away."""
    for disk in work.state.target_disks:
        await work.journal.record(BaseVoided(disk=disk, reason="the source's storage has no room for its snapshot"))
    await work.journal.warn(
        "BASES_GIVEN_UP",
        "our snapshots on the source are removed, as its storage runs short; the next attempt copies the disks whole",
        rule="R19",
        disks=sorted(work.state.target_disks),
    )


def _as_kept(work: Work, disk: str, target: TargetDisk) -> TargetDisk:
    """R17: once its start was asked for, a target's disks are no base any more, but for those that went back to before."""
    void = work.state.start_asked and disk not in work.state.reverted
    return TargetDisk(vdi=target.vdi, sr=target.sr, written=True, base=None if void else target.base)


async def drop_copy(work: Work) -> None:
    """Remove all that this migration made."""
    if await remove_target_vm(work):
        for disk in list(work.state.target_disks.values()):
            await remove_target_disk(work, work.target, disk.vdi)
    else:
        for disk in list(work.state.target_disks.values()):
            await leave(work, work.target, "vdi", disk.vdi, "its VM stays")
    for uuid in sorted(work.state.snapshots):
        await remove_snapshot(work, uuid)
    await untrack_disks(work)
