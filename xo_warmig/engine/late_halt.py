"""The watch over a shutdown that was given up: the guest may still act on it, and is then started again (R7)."""

import logging
from collections.abc import Callable

from xo_warmig.engine.restoring import start_after_late_halt
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, SafetyError, WarmigError
from xo_warmig.model.events import LateHaltWatched

log = logging.getLogger("xo_warmig.engine")


async def watch_late_halt(work: Work, superseded: Callable[[], bool]) -> None:
    """For an hour from when the watch began, whichever process began it.

    Args:
        superseded: whether a later migration of the VM asked for its shutdown: from then on its halting is wanted.
    """
    since = work.state.late_halt_watched or work.clock.now()
    done = False
    while not done and not superseded() and work.clock.now() < since + work.settings.late_halt_seconds:
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
