"""Beyond the door: waiting for a person, or for a time, before the source is settled."""

import logging

from xo_warmig.engine.failures import to_fact
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import (
    CheckFailed,
    CommitAsked,
    Warned,
)
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.reports import Warning_

log = logging.getLogger("xo_warmig.engine")


async def hold_for_operator(work: Work, error: WarmigError, *, running: bool) -> None:
    """Stop here: what follows is for a person to decide."""
    if work.state.phase is not Phase.AWAITING_COMMIT:
        await work.journal.enter(Phase.CHECKING)
        warning = Warning_(code=error.code, message=error.message, evidence=error.evidence, remedy=error.remedy)
        await work.journal.record(CheckFailed(running=running, error=to_fact(error)), Warned(warning=warning))
        await work.journal.enter(Phase.AWAITING_COMMIT)
    await work.journal.wait_for(WaitingFor.OPERATOR, error.message)


async def await_commit(work: Work) -> None:
    """Until a person decides; or, where the boot was seen and that was asked for, some time after it."""
    seen = work.journal.count
    seconds, booted = work.state.request.commit, work.state.booted
    if work.state.check_failed is None and booted is not None and isinstance(seconds, int):
        left = booted + seconds - work.clock.now()
        if left <= 0:
            await work.journal.record(CommitAsked())
            return
        await work.journal.wait_for(WaitingFor.TIME, f"it commits {seconds} s after the boot")
        await work.journal.changed_within(left, seen)
        return
    await work.journal.wait_for(WaitingFor.OPERATOR, "warmMigration.commit settles the source")
    await work.journal.changed_within(work.settings.operator_look_seconds, seen)


async def stand_still(work: Work, error: WarmigError) -> None:
    """Something unforeseen went wrong beyond the door: stop and tell, undo nothing."""
    log.error("migration %s stands still in %s: %s", work.id, work.state.phase, error)
    if work.state.phase is Phase.COMMITTING:
        if work.state.booted is None:
            # Whoever waits for the answer has none yet, and none would come.
            await work.journal.record(CheckFailed(running=work.state.target_started, error=to_fact(error)))
        await work.journal.warn(error.code, error.message, remedy=error.remedy, **error.evidence)
        await work.journal.enter(Phase.AWAITING_COMMIT)
        await work.journal.wait_for(WaitingFor.OPERATOR, error.message)
    else:
        await hold_for_operator(work, error, running=work.state.target_started)
