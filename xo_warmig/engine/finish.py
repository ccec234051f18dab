"""From asking for the target's start to the end. From here on nothing rolls back by itself, save a start that plainly failed."""

from xo_warmig.engine.adoption import release_all
from xo_warmig.engine.blocks import demand_blocks
from xo_warmig.engine.checks import halted_source
from xo_warmig.engine.cutover import Stopwatch
from xo_warmig.engine.failures import as_warmig, to_fact
from xo_warmig.engine.leftovers import leave, remove_snapshot
from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.model.events import (
    CheckFailed,
    DowntimeMeasured,
    SourceDeleted,
    TargetBooted,
    TargetReleased,
    TargetStarted,
)
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.vm import PowerState, Vm
from xo_warmig.replication.retries import is_outcome_lost, is_temporary


class StartFailed(Exception):
    """The pool refused the start, and the target was seen halted with its disks free: the one way back from ``starting``."""

    def __init__(self, refusal: WarmigError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


async def start_target(work: Work, watch: Stopwatch) -> None:
    """Take our blocks off the target and start it. The phase was recorded before: the start counts as asked for.

    Raises:
        StartFailed: rolling back is safe. SafetyError: whether the target ran is not known, so nothing may be undone.
    """
    uncertain = False
    for attempt in range(1, work.settings.tries + 1):
        try:
            await work.target.unblock_operations(work.target_vm, work.state.target_blocked, {})
            await work.target.start_vm(work.target_vm)
            break
        except PoolUnreachable:
            uncertain = True  # it may have been accepted
            if await target_runs(work):
                break
        except PoolError as refusal:
            # A toolstack that was restarted forgot its task, but may still be starting the VM.
            uncertain = uncertain or is_outcome_lost(refusal)
            if await target_runs(work):
                break
            if attempt < work.settings.tries and (is_temporary(refusal) or is_outcome_lost(refusal)):
                await work.clock.sleep(work.settings.retry_seconds)
                continue
            if uncertain:
                raise _uncertain(work, refusal) from refusal
            raise StartFailed(refusal) from refusal
    else:
        raise _uncertain(work, None)
    watch.lap("start")
    await work.journal.record(TargetStarted())
    await work.journal.record(DowntimeMeasured(downtime=watch.downtime()))


async def target_runs(work: Work) -> bool:
    """See whether it runs, waiting for its pool for as long as it is away. False only when it is Halted and its disks are free.

    Raises:
        SafetyError: it is neither.
    """
    vm = await work.once_back(lambda: work.target.read_vm(work.target_vm))
    if vm.power_state is PowerState.RUNNING:
        return True
    vdis = [disk.vdi for disk in work.state.target_disks.values()]
    held: list[str] = []

    async def free() -> bool:
        seen = await work.once_back(lambda: work.target.read_vm(work.target_vm))
        used = await work.once_back(lambda: work.target.attachments(vdis))
        held[:] = [each.vdi for each in used if each.plugged]
        return seen.power_state is not PowerState.HALTED or not (held or "start" in seen.current_operations)

    times = work.settings
    if not await work.until(free, seconds=times.detach_seconds, poll_seconds=times.detach_poll_seconds):
        raise _uncertain(work, None)
    vm = await work.once_back(lambda: work.target.read_vm(work.target_vm))
    if vm.power_state is PowerState.RUNNING:
        return True
    if vm.power_state is not PowerState.HALTED:
        raise _uncertain(work, None)
    return False


def _uncertain(work: Work, refusal: WarmigError | None) -> SafetyError:
    return SafetyError(
        "the target was asked to start and does not run; whether it ran is not known, so the source stays off",
        code="START_UNCERTAIN",
        evidence={
            "rule": "R5",
            "vm": work.target_vm,
            "refusal": None if refusal is None else refusal.as_dict(),
        },
        remedy="look at the target: start it by hand, or if it never ran, remove the source's blocked operations and start that",
    )


async def check_boot(work: Work) -> None:
    """See the target boot, with tools where the source had them; a check that fails leaves the decision to a person."""
    await work.journal.enter(Phase.CHECKING)
    expect_tools = work.state.plan.vm.tools and work.state.source_was_running

    async def booted() -> bool:
        try:
            return await work.once_back(lambda: work.target.is_booted(work.target_vm, expect_tools=expect_tools))
        except PoolError:
            return False

    times = work.settings
    if await work.until(booted, seconds=times.boot_seconds, poll_seconds=times.boot_poll_seconds):
        await work.journal.record(TargetBooted())
        return
    running = await work.once_back(lambda: work.target.power_state(work.target_vm)) is PowerState.RUNNING
    error = SafetyError(
        "the target was started, but its boot was not seen in time",
        code="CHECK_TIMED_OUT",
        evidence={"vm": work.target_vm, "running": running, "expected_tools": expect_tools},
        remedy="look at the target's console; the source is kept, halted and blocked",
    )
    await hold_for_operator(work, error, running=running)


async def hold_for_operator(work: Work, error: WarmigError, *, running: bool) -> None:
    """Stop here: what follows is for a person to decide."""
    await work.journal.enter(Phase.CHECKING)
    await work.journal.record(CheckFailed(running=running, error=to_fact(error)))
    await work.journal.warn(error.code, error.message, remedy=error.remedy, **error.evidence)
    await work.journal.enter(Phase.AWAITING_COMMIT)
    await work.journal.wait_for(WaitingFor.OPERATOR, error.message)


async def commit(work: Work) -> None:
    """The end of the source's part: deleted if that was asked for and is safe, else kept halted and blocked."""
    await work.journal.enter(Phase.COMMITTING)
    if work.state.request.start_destination_vm:
        await give_back_ha(work)
    else:
        await release_target(work)
    for uuid in sorted(work.state.snapshots):
        await remove_snapshot(work, uuid)
    if work.state.request.delete_source_vm:
        await delete_source(work)
    await release_all(work)
    await work.journal.enter(Phase.DONE)


async def give_back_ha(work: Work) -> None:
    """HA and auto-power-on as on the source, and the user's own blocks on what we had blocked (R13)."""
    vm = work.state.plan.vm
    own = {name: text for name, text in vm.blocked_operations.items() if name in work.state.target_blocked}
    try:
        await work.once_back(lambda: work.tried(lambda: work.target.restore_ha(work.target_vm, vm)))
        if own:
            await work.once_back(lambda: work.target.block_operations(work.target_vm, own))
    except PoolError as refusal:
        await work.journal.warn(
            "HA_NOT_RESTORED",
            f"HA, auto-power-on or blocked operations could not be set on the target: {refusal}",
            remedy="set them by hand",
            ha_restart_priority=vm.ha_restart_priority,
            auto_poweron=vm.auto_poweron,
            blocked_operations=own,
        )


async def release_target(work: Work) -> None:
    """Free to start, off, and not started by anything but a person."""
    vm = work.state.plan.vm
    own = {name: text for name, text in vm.blocked_operations.items() if name in work.state.target_blocked}
    try:
        await work.once_back(
            lambda: work.tried(lambda: work.target.unblock_operations(work.target_vm, work.state.target_blocked, own))
        )
    except PoolError as refusal:
        # The copy is whole and the source stays off: nothing is gained by holding the migration open.
        await work.journal.warn(
            "TARGET_STILL_BLOCKED",
            f"the target is complete, but its blocked operations could not be removed: {refusal}",
            remedy="remove those that say xo_warmig by hand before you start it",
            vm=work.target_vm,
            operations=sorted(work.state.target_blocked),
        )
    else:
        await work.journal.record(TargetReleased())
    if vm.ha_restart_priority or vm.auto_poweron:
        await work.journal.warn(
            "HA_LEFT_OFF",
            "HA and auto-power-on are off on the target, which was not to be started",
            remedy="set them when you start it",
            ha_restart_priority=vm.ha_restart_priority,
            auto_poweron=vm.auto_poweron,
        )


async def delete_source(work: Work) -> None:
    """Destroy the source and the plan's disks, if nothing forbids it (R2). A pool that is away is waited for."""
    if work.state.source_deleted:
        return
    reasons = await work.once_back(lambda: against_deletion(work))
    if reasons:
        await work.journal.warn(
            "SOURCE_KEPT",
            "the source is kept although its deletion was asked for: " + "; ".join(reasons),
            remedy="delete it by hand when nothing on it is wanted any more",
            rule="R2",
            reasons=reasons,
        )
        return
    try:
        await work.once_back(lambda: work.tried(lambda: destroy_source(work)))
    except WarmigError as refusal:
        await leave(work, work.source, "source", work.vm, str(refusal))
        return
    await work.journal.record(SourceDeleted())


async def destroy_source(work: Work) -> None:
    """Everything but its destruction stays blocked to the end, and that too is blocked again when it fails."""
    blocking = work.state.blocking
    text = {} if blocking is None else {"destroy": blocking.operations["destroy"]}
    try:
        await work.source.unblock_operations(work.vm, text, {})
    except NoSuchObject:
        text = {}
    try:
        await work.source.destroy_vm(work.vm, [disk.vdi for disk in work.state.plan.vm.disks])
    except WarmigError as refusal:
        if text and not isinstance(refusal, PoolUnreachable):
            await work.source.block_operations(work.vm, text)
        raise


async def against_deletion(work: Work) -> list[str]:
    """What forbids destroying the source (R2), in words."""
    if not work.state.booted:
        return ["the target was not seen to boot"]
    try:
        vm = await halted_source(work)
        blocking = work.state.blocking
        demand_blocks(blocking.operations if blocking else {}, vm.blocked_operations, side="source", vm=vm.uuid)
    except NoSuchObject:
        # Asked before our own destruction begins: somebody else removed it, and meant its disks to stay or to serve elsewhere.
        return ["the VM was removed by somebody else; its disks, where they still stand, are not ours to destroy"]
    except SafetyError as change:
        return [str(as_warmig(change))]
    return [*_precious(work, vm)]


def _precious(work: Work, vm: Vm) -> list[str]:
    reasons = []
    if vm.snapshots:
        reasons.append(f"it has {len(vm.snapshots)} snapshot(s)")
    ours = set(work.state.snapshots)
    for disk in vm.disks:
        if disk.other_vms:
            reasons.append(f"disk {disk.vdi} belongs to another VM too")
        if set(disk.snapshots) - ours and not vm.snapshots:
            reasons.append(f"disk {disk.vdi} has snapshots")
    return reasons
