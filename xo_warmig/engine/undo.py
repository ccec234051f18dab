"""The way back: the source as it was found, then the copy kept or dropped (R5, R6).

Runs on failure and on cancel, before the target's start was asked for or when that start plainly failed. The source comes first:
what it needs is waited for; what only leaves something lying about is not, but remembered.
"""

import logging

from xo_warmig.engine.leftovers import leave, remove_snapshot, remove_target_disk, remove_target_vm
from xo_warmig.engine.prepare import make_disk, make_vm
from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.model.events import (
    CopyKept,
    Effect,
    EffectFailed,
    EffectIntended,
    LateHaltWatched,
    SnapshotTaken,
    SourceRestored,
    SourceStarted,
)
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.plans import KeptDisk, TargetDisk
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.ports import Pool

log = logging.getLogger("xo_warmig.engine")

_GOING_DOWN = frozenset({"clean_shutdown", "hard_shutdown", "shutdown"})


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
    if work.state.request.on_failure is OnFailure.KEEP and work.state.moved_data:
        await keep_copy(work)
    else:
        await drop_copy(work)
    if failure is not None:
        raise failure


async def restore_source(work: Work) -> None:
    """Power and blocked operations as they were found; nothing that we did not change."""
    if work.state.blocking is None or work.state.source_restored:
        return
    if work.state.shutdown_asked and not work.state.source_started_again:
        await restore_power(work)
    await unblock_source(work)
    await work.journal.record(SourceRestored())


async def unblock_source(work: Work) -> None:
    blocking = work.state.blocking
    if blocking is not None:
        await work.once_back(
            lambda: work.tried(lambda: work.source.unblock_operations(work.vm, blocking.operations, blocking.before))
        )


async def restore_power(work: Work) -> None:
    """Start the source if it went down for us; if it may yet go down, have it watched (R7)."""
    power = await final_power(work)
    if power is PowerState.HALTED:
        await target_is_off(work)
        await see_detached(work, work.source, [disk.vdi for disk in work.state.plan.vm.disks])
        await work.once_back(lambda: work.tried(lambda: start_source(work)))
        await work.journal.record(SourceStarted())
    elif power is PowerState.RUNNING:
        await work.journal.record(LateHaltWatched(on=True))
    else:
        raise SafetyError(
            f"the source VM is {power}, which is not our doing; it is left so",
            code="SOURCE_NOT_HALTED",
            evidence={"rule": "R5", "vm": work.vm, "actual": str(power)},
            remedy="see to it by hand",
        )


async def final_power(work: Work) -> PowerState:
    """The source's power state once no shutdown is under way any more, or it was waited for long enough."""
    deadline = work.clock.monotonic() + work.settings.halting_seconds
    while True:
        vm = await work.once_back(lambda: work.source.read_vm(work.vm))
        going_down = not _GOING_DOWN.isdisjoint(vm.current_operations)
        if not going_down or work.clock.monotonic() >= deadline:
            return vm.power_state
        await work.clock.sleep(work.settings.detach_poll_seconds)


async def see_detached(work: Work, pool: Pool, vdis: list[str]) -> None:
    """R10: no control domain holds these disks any more. Our own connections are closed; one whose answer was lost may linger."""

    async def free() -> bool:
        return not any(each.plugged and each.is_control_domain for each in await pool.attachments(vdis))

    times = work.settings
    try:
        seen = await work.until(free, seconds=times.detach_seconds, poll_seconds=times.detach_poll_seconds)
    except WarmigError as failure:
        log.info("migration %s: detachment was not seen on pool %s: %s", work.id, pool.name, failure)
        return
    if not seen:
        await work.journal.warn(
            "DISK_STILL_ATTACHED",
            f"a control domain of pool {pool.name} still holds a disk of the migration",
            rule="R10",
            disks=vdis,
            remedy="unplug and destroy its VBD there",
        )


async def target_is_off(work: Work) -> None:
    """R5: the target seen halted, blocked again, with no operation running, before the source may start.

    Its pool is waited for: nothing is guessed, however unlikely it is that somebody freed and started a blocked, half-written copy.
    Who knows better starts the source by hand, which ends the wait.
    """
    if work.state.target_vm is None:
        return
    warned = False
    while True:
        try:
            await work.tried(lambda: see_target_off(work))
            break
        except PoolUnreachable as away:
            if not warned:
                await warn_of_absence(work, away)
                warned = True
            await work.journal.wait_for(WaitingFor.POOL, str(away))
            await work.clock.sleep(work.settings.pool_poll_seconds)
        if await work.once_back(lambda: work.source.power_state(work.vm)) is not PowerState.HALTED:
            break
    await work.journal.wait_for(WaitingFor.NOTHING)


async def warn_of_absence(work: Work, away: PoolUnreachable) -> None:
    await work.journal.warn(
        "TARGET_POOL_AWAY",
        f"the source stays off until the target is seen halted, and its pool is away: {away}",
        rule="R5",
        vm=work.state.target_vm,
        remedy="bring the target's pool back; or, where the target surely does not run, unblock the source and start it by hand",
    )


async def see_target_off(work: Work) -> None:
    """Look, block, look again."""
    try:
        await _demand_off(work)
        await work.target.block_operations(work.target_vm, work.state.target_blocked)
        await _demand_off(work)
    except NoSuchObject:
        return  # what does not exist cannot run


async def _demand_off(work: Work) -> None:
    idle = False
    for _ in range(work.settings.tries):
        vm = await work.target.read_vm(work.target_vm)
        if vm.power_state is not PowerState.HALTED:
            raise SafetyError(
                f"the target VM is {vm.power_state}, so the source is not started",
                code="TARGET_RUNS",
                evidence={"rule": "R5", "vm": vm.uuid, "actual": str(vm.power_state)},
                remedy="decide which of the two is to live; the source stays off until then",
            )
        idle = not vm.current_operations
        if idle:
            return
        await work.clock.sleep(work.settings.retry_seconds)
    raise SafetyError(
        "the target VM has an operation in progress, so the source is not started",
        code="TARGET_BUSY",
        evidence={"rule": "R5", "vm": work.target_vm},
        remedy="wait until it has ended; then remove the source's blocked operations and start it",
    )


async def start_source(work: Work) -> None:
    """Start it again, if it does not run. A block of the user's own on starting is set aside for this one start."""
    blocking = work.state.blocking
    ours, before = ({}, {}) if blocking is None else (blocking.operations, blocking.before)
    aside = {name: text for name, text in before.items() if name in ("start", "start_on")}
    rest = {name: text for name, text in before.items() if name not in aside}
    await work.source.unblock_operations(work.vm, ours, rest)
    await work.source.unblock_operations(work.vm, aside, {})
    try:
        if await work.source.power_state(work.vm) is not PowerState.RUNNING:
            try:
                await work.source.start_vm(work.vm)
            except PoolUnreachable:
                raise
            except PoolError:
                # An earlier try whose answer was lost may have started it after all.
                if await work.source.power_state(work.vm) is not PowerState.RUNNING:
                    raise
    finally:
        if aside:
            await work.source.block_operations(work.vm, aside)


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
        case Effect.SNAPSHOT:
            uuid = await work.source.snapshot_disk(intent.subject, tag=intent.tag)
            number = int(intent.tag.rpartition("/")[2])
            await work.journal.record(SnapshotTaken(disk=intent.subject, snapshot=uuid, number=number))


async def keep_copy(work: Work) -> None:
    """Leave the target, its disks and the bases for the next attempt, and nothing else."""
    sizes = {disk.vdi: disk.virtual_size_bytes for disk in work.state.plan.vm.disks}
    kept = [
        KeptDisk(disk=disk, virtual_size_bytes=sizes[disk], target=_as_kept(work, target))
        for disk, target in work.state.target_disks.items()
    ]
    await work.journal.record(CopyKept(disks=kept))
    bases = {each.target.base for each in kept}
    for uuid in sorted(work.state.snapshots.keys() - bases):
        await remove_snapshot(work, uuid)


def _as_kept(work: Work, target: TargetDisk) -> TargetDisk:
    """R17: once its start was asked for, a target's disks are no base any more."""
    return TargetDisk(vdi=target.vdi, sr=target.sr, written=True, base=None if work.state.start_asked else target.base)


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


async def start_after_late_halt(work: Work) -> bool:
    """One look of the watch over a shutdown that was given up: start the source if it halted. True when that was done (R7)."""
    if await work.source.power_state(work.vm) is not PowerState.HALTED:
        return False
    await target_is_off(work)
    await start_source(work)
    await work.journal.record(SourceStarted())
    return True
