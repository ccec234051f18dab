"""The end of a kept copy's time: after the retention it goes, with its base on the source (R6)."""

import logging
from collections.abc import Mapping

from xo_warmig.engine.adoption import release
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.leftovers import TRACKING, remove_left
from xo_warmig.engine.works import Works
from xo_warmig.errors import WarmigError

log = logging.getLogger("xo_warmig.engine")


async def drop_expired(journals: Mapping[str, Journal], works: Works) -> None:
    """Remove what is kept for longer than it was promised; a pool that is away is asked again the next time."""
    for journal in list(journals.values()):
        await _turn_off_tracking(journal, works)
        until = journal.state.kept_until
        if not journal.state.kept or until is None or journal.now() < until:
            continue
        work = await works.if_connected(journal.id)
        if work is None:
            continue
        try:
            await release(work, journal)
        except WarmigError as error:
            log.warning("the copy kept by migration %s is not removed yet: %s", journal.id, error)
        works.forget(journal.id)


async def _turn_off_tracking(journal: Journal, works: Works) -> None:
    """Of source disks where that could not be done when the migration ended: nobody else would ever."""
    if not journal.state.ended or not any(each.kind == TRACKING for each in journal.state.left):
        return
    work = await works.if_connected(journal.id)
    if work is None:
        return
    try:
        await remove_left(work, journal, work.target)
    except WarmigError as error:
        log.warning("what migration %s left behind stays for now: %s", journal.id, error)
    works.forget(journal.id)
