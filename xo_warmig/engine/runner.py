"""One migration through its phases: forward to the door, through it, or back."""

import asyncio
import logging
from collections.abc import Callable

from xo_warmig.engine.cutover import Stopwatch, final_pass, look_ahead, open_ahead, stop_source, verify
from xo_warmig.engine.failures import as_warmig, to_fact
from xo_warmig.engine.finish import StartFailed, check_boot, commit, hold_for_operator, start_target
from xo_warmig.engine.passes import copy_until_ready
from xo_warmig.engine.prepare import prepare
from xo_warmig.engine.undo import start_after_late_halt, undo
from xo_warmig.engine.work import Work
from xo_warmig.errors import Cancelled, PoolError, SafetyError, WarmigError
from xo_warmig.model.events import CancelAsked, CheckFailed, Failed, LateHaltWatched
from xo_warmig.model.phases import Phase, WaitingFor

log = logging.getLogger("xo_warmig.engine")


async def drive(work: Work) -> None:
    """Take a planned migration to its end. Never raises for what befalls the migration: that is recorded."""
    if work.cancel_wanted:
        await go_back(work, Cancelled("the migration was cancelled"))
        return
    watch = Stopwatch(work.clock)
    work.forward = asyncio.create_task(to_the_door(work, watch), name=f"migration {work.id}")
    try:
        await asyncio.shield(work.forward)
    except asyncio.CancelledError:
        if not work.forward.cancelled():
            # This task itself is stopped, with the whole server: leave no connection open.
            work.forward.cancel()
            await asyncio.gather(work.forward, return_exceptions=True)
            await work.drop_held()
            raise
        await go_back(work, Cancelled("the migration was cancelled"))
    except Exception as failure:
        await go_back(work, as_warmig(failure))
    else:
        await beyond_the_door(work, watch)


async def to_the_door(work: Work, watch: Stopwatch) -> None:
    """All that can be undone: up to the moment before the target's start is asked for."""
    await work.journal.enter(Phase.PREPARING)
    await prepare(work)
    if work.state.source_was_running:
        await copy_until_ready(work)
        await look_ahead(work)
        await open_ahead(work)
    await stop_source(work, watch)
    await final_pass(work, watch)
    await verify(work, watch)
    # A cancel that was accepted before now was raised by the last await; from the next line on none is accepted.
    work.crossing = True
    try:
        await work.journal.enter(Phase.STARTING if work.state.request.start_destination_vm else Phase.COMMITTING)
    except BaseException:
        work.crossing = False
        raise


async def beyond_the_door(work: Work, watch: Stopwatch) -> None:
    """Nothing here rolls back by itself, save a start that plainly failed."""
    try:
        if work.state.phase is Phase.STARTING:
            await start_target(work, watch)
            await check_boot(work)
        if work.state.phase in (Phase.CHECKING, Phase.COMMITTING):
            await commit(work)
    except StartFailed as failed:
        await go_back(work, failed.refusal)
    except SafetyError as uncertain:
        await hold_for_operator(work, uncertain, running=work.state.target_started)
    except Exception as failure:
        await stand_still(work, as_warmig(failure))


async def stand_still(work: Work, error: WarmigError) -> None:
    """Something unforeseen went wrong beyond the door: stop and tell, undo nothing."""
    log.error("migration %s stands still in %s: %s", work.id, work.state.phase, error)
    if work.state.phase is Phase.COMMITTING:
        if not work.state.booted:
            # Whoever waits for the answer has none yet, and none would come.
            await work.journal.record(CheckFailed(running=work.state.target_started, error=to_fact(error)))
        await work.journal.warn(error.code, error.message, remedy=error.remedy, **error.evidence)
        await work.journal.enter(Phase.AWAITING_COMMIT)
        await work.journal.wait_for(WaitingFor.OPERATOR, error.message)
    else:
        await hold_for_operator(work, error, running=work.state.target_started)


async def go_back(work: Work, error: WarmigError) -> None:
    """Undo and end: cancelled when that was asked for, else failed; failed also when the source could not be given back."""
    if work.cancel_wanted:
        await work.journal.record(CancelAsked())
    cancelled = work.cancel_wanted and not work.state.start_asked
    if work.state.phase is Phase.PLANNED:
        await work.journal.record(Failed(error=to_fact(error)))
        await work.journal.enter(Phase.CANCELLED if cancelled else Phase.FAILED)
        return
    await work.journal.enter(Phase.CANCELLING if cancelled else Phase.ROLLING_BACK)
    # Told at once: whoever watches need not wait for the undoing to learn why.
    await work.journal.record(Failed(error=to_fact(error)))
    try:
        await undo(work)
    except Exception as failure:
        trouble = as_warmig(failure)
        await work.journal.record(Failed(error=to_fact(not_restored(error, trouble))))
        await work.journal.enter(Phase.FAILED)
        return
    if work.state.left:
        left = [{"pool": each.pool, "kind": each.kind, "uuid": each.uuid} for each in work.state.left]
        error.evidence["left"] = left
        await work.journal.record(Failed(error=to_fact(error)))
    await work.journal.enter(Phase.CANCELLED if cancelled else Phase.FAILED)


def not_restored(error: WarmigError, trouble: WarmigError) -> WarmigError:
    """The failure of the way back, with what led to it."""
    return SafetyError(
        f"{error.message}; and the source could not be given back: {trouble.message}",
        code="ROLL_BACK_FAILED",
        evidence={"cause": to_fact(error), "roll_back": to_fact(trouble)},
        remedy=trouble.remedy or "see to the source VM by hand; nothing more is done to it",
    )


async def watch_late_halt(work: Work, superseded: Callable[[], bool]) -> None:
    """R7: for an hour, start the source again should it still act on a shutdown that was given up.

    Args:
        superseded: whether a later migration of the VM asked for its shutdown: from then on its halting is wanted.
    """
    deadline = work.clock.monotonic() + work.settings.late_halt_seconds
    done = False
    while not done and not superseded() and work.clock.monotonic() < deadline:
        await work.clock.sleep(work.settings.late_halt_poll_seconds)
        try:
            done = not superseded() and await start_after_late_halt(work)
        except PoolError as failure:
            log.warning("migration %s: its source is watched on after: %s", work.id, failure)
        except SafetyError as danger:
            await work.journal.warn(danger.code, danger.message, remedy=danger.remedy, **danger.evidence)
            break
        except WarmigError as failure:
            log.warning("migration %s: its source is not watched any more: %s", work.id, failure)
            break
    await work.journal.record(LateHaltWatched(on=False))
