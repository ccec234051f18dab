"""Asking for the target's start, and seeing it boot. From here on nothing rolls back by itself, save a start that plainly failed."""

from xo_warmig.engine.last_settings import set_addresses
from xo_warmig.engine.standing import hold_for_operator
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.model.events import (
    DowntimeMeasured,
    TargetBooted,
    TargetStarted,
)
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.retries import is_outcome_lost, is_temporary


class StartFailed(Exception):
    """The pool refused the start, and the target was seen halted with its disks free: the one way back from ``starting``."""

    def __init__(self, refusal: WarmigError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


async def start_and_measure(work: Work) -> None:
    """Start the target; the downtime ends when it runs."""
    await start_target(work)
    work.watch.lap("start")
    asked = work.state.shutdown_asked
    whole = None if asked is None else work.clock.now() - asked
    await work.journal.record(TargetStarted(), DowntimeMeasured(downtime=work.watch.downtime(whole)))
    await work.journal.enter(Phase.CHECKING)


async def start_target(work: Work) -> None:
    """Take our blocks off the target and start it. The phase was recorded before: the start counts as asked for.

    Raises:
        StartFailed: rolling back is safe. SafetyError: whether the target ran is not known, so nothing may be undone.
    """
    # Another process may have asked before this one. Unlike a pool that went away, one that was there all along remembers.
    asked_before = not work.start_asked_here
    uncertain = False
    if asked_before and await target_runs(work):
        return
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
            if uncertain or (asked_before and await was_started(work)):
                raise _uncertain(work, refusal) from refusal
            raise StartFailed(refusal) from refusal
    else:
        raise _uncertain(work, None)


async def target_runs(work: Work) -> bool:
    """See whether it runs, waiting for its pool for as long as it is away. False only when it is Halted and its disks are free.

    Raises:
        SafetyError: it is neither.
    """
    if await _target_power(work) is PowerState.RUNNING:
        return True
    vdis = [disk.vdi for disk in work.state.target_disks.values()]

    async def free() -> bool:
        seen = await work.once_back(lambda: work.target.look(work.target_vm, vdis))
        held = any(each.plugged for each in seen.attachments)
        return seen.power_state is not PowerState.HALTED or not (held or "start" in seen.current_operations)

    times = work.settings
    if not await work.until(free, seconds=times.detach_seconds, poll_seconds=times.detach_poll_seconds):
        raise _uncertain(work, None)
    power = await _target_power(work)
    if power not in (PowerState.RUNNING, PowerState.HALTED):
        raise _uncertain(work, None)
    return power is PowerState.RUNNING


async def _target_power(work: Work) -> PowerState:
    return await work.once_back(lambda: work.target.power_state(work.target_vm))


async def was_started(work: Work) -> bool:
    return await work.once_back(lambda: work.target.was_started(work.target_vm))


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
    expect_tools = work.state.plan.vm.tools and work.state.source_was_running

    async def booted() -> bool:
        try:
            return await work.once_back(lambda: work.target.is_booted(work.target_vm, expect_tools=expect_tools))
        except PoolError:
            return False

    times = work.settings
    if work.state.booted is None and await work.until(
        booted, seconds=times.boot_seconds, poll_seconds=times.boot_poll_seconds
    ):
        await work.journal.record(TargetBooted())
    if work.state.booted is not None:
        if work.state.request.commit == "auto":
            await work.journal.enter(Phase.COMMITTING)
            return
        await set_addresses(work)  # whoever is to say whether the target is well has to reach it
        await work.journal.enter(Phase.AWAITING_COMMIT)
        return
    running = await _target_power(work) is PowerState.RUNNING
    error = SafetyError(
        "the target was started, but its boot was not seen in time",
        code="CHECK_TIMED_OUT",
        evidence={"vm": work.target_vm, "running": running, "expected_tools": expect_tools},
        remedy="look at the target's console; the source is kept, halted and blocked",
    )
    await hold_for_operator(work, error, running=running)
