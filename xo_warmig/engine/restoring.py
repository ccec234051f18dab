"""Giving the source back: power and blocked operations as they were found, and nothing that we did not change (R5, R7)."""

import logging

from xo_warmig.engine.detaching import see_detached
from xo_warmig.engine.voiding import void_unblocked
from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, SafetyError
from xo_warmig.model.events import LateHaltWatched, SourceRestored, SourceStarted, SourceStarting
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.vm import Look, PowerState

log = logging.getLogger("xo_warmig.engine")

_GOING_DOWN = frozenset({"clean_shutdown", "hard_shutdown", "shutdown"})


async def restore_source(work: Work) -> None:
    """Power and blocked operations as they were found; nothing that we did not change."""
    if work.state.blocking is None or work.state.source_restored:
        return
    if work.state.shutdown_asked is not None and not work.state.source_started_again:
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
    power = await final_power(work, seconds=work.settings.halting_seconds)
    if power is PowerState.HALTED:
        await target_is_off(work)
        await see_detached(work, work.source, [disk.vdi for disk in work.state.plan.vm.disks])
        await work.journal.record(SourceStarting())
        await work.once_back(lambda: work.tried(lambda: start_source(work)))
        await work.journal.record(SourceStarted())
    elif power is PowerState.RUNNING and work.state.source_starting:
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


async def final_power(work: Work, *, seconds: float) -> PowerState:
    """The source's power state once no shutdown is under way any more, or it was waited for long enough."""
    deadline = work.clock.monotonic() + seconds
    vdis = [disk.vdi for disk in work.state.plan.vm.disks]
    while True:
        vm = await work.once_back(lambda: work.source.look(work.vm, vdis))
        going_down = not _GOING_DOWN.isdisjoint(vm.current_operations)
        if not going_down or work.clock.monotonic() >= deadline:
            return vm.power_state
        await work.clock.sleep(work.settings.detach_poll_seconds)


async def target_is_off(work: Work) -> None:
    """R5: the target seen halted, blocked again, with no operation running, before the source may start.

    Its pool is waited for: nothing is guessed, however unlikely it is that somebody freed and started a blocked, half-written copy.
    Who knows better starts the source by hand, which ends the wait.
    """
    if work.state.target_vm is None:
        return
    warned = False
    while True:
        news = work.pools.news()
        try:
            await work.tried(lambda: see_target_off(work))
            break
        except PoolUnreachable as away:
            if not warned:
                await warn_of_absence(work, away)
                warned = True
            await work.journal.wait_for(WaitingFor.POOL, str(away))
            await work.around.until_news(news)
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
    """Look, block, look again. What was free to be started is no base any more (R17)."""
    try:
        await void_unblocked(work, (await _demand_off(work)).blocked_operations)
        await work.target.block_operations(work.target_vm, work.state.target_blocked)
        await _demand_off(work)
    except NoSuchObject:
        return  # what does not exist cannot run


async def _demand_off(work: Work) -> Look:
    vdis = [disk.vdi for disk in work.state.target_disks.values()]
    for _ in range(work.settings.tries):
        vm = await work.target.look(work.target_vm, vdis)
        if vm.power_state is not PowerState.HALTED:
            raise SafetyError(
                f"the target VM is {vm.power_state}, so the source is not started",
                code="TARGET_RUNS",
                evidence={"rule": "R5", "vm": vm.uuid, "actual": str(vm.power_state)},
                remedy="decide which of the two is to live; the source stays off until then",
            )
        if not vm.current_operations:
            return vm
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


async def start_after_late_halt(work: Work) -> bool:
    """One look of the watch over a shutdown that was given up: start the source if it halted. True when that was done (R7)."""
    if await work.source.power_state(work.vm) is not PowerState.HALTED:
        return False
    await target_is_off(work)
    await start_source(work)
    await work.journal.record(SourceStarted())
    return True
