"""Whether a final pass that broke is begun anew, and when."""

from collections.abc import Sequence
from itertools import takewhile

from xo_warmig.engine.failures import from_fact
from xo_warmig.engine.reading_back import is_in_downtime
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import PassKind, PassPlan, PassReport
from xo_warmig.model.phases import WaitingFor
from xo_warmig.replication.retries import back_off_seconds, is_away, may_pass

MOST_FINAL_PASSES = 3


async def may_begin_again(work: Work, plan: PassPlan, errors: Sequence[WarmigError]) -> bool:
    """Whether there is another final pass, of which all is sent again (R22).

    For a VM that was halted before nobody waits, so a pool or a host that is away is waited for as in any other pass.
    """
    if not all(may_pass(error) for error in errors):
        return False
    finals = [each for each in work.state.passes if each.kind is PassKind.FINAL]
    away = next((error for error in errors if is_away(error)), None)
    if is_in_downtime(work, plan):
        return len(finals) < MOST_FINAL_PASSES
    if away is None:
        return sum(not _was_away(each) for each in finals) < MOST_FINAL_PASSES
    limits = work.settings.copy_limits
    in_vain = list(takewhile(_was_away, reversed(finals)))
    if work.clock.now() - (in_vain[-1].started + in_vain[-1].seconds) >= limits.pool_patience_seconds:
        return False
    first, longest = limits.first_wait_seconds, limits.longest_wait_seconds
    await work.journal.wait_for(WaitingFor.POOL, str(away))
    try:
        await work.clock.sleep(back_off_seconds(len(in_vain), first=first, longest=longest))
    finally:
        await work.journal.wait_for(WaitingFor.NOTHING)
    return True


def _was_away(report: PassReport) -> bool:
    """Whether a pass broke because a pool or host was."""
    return any(disk.error is not None and is_away(from_fact(disk.error)) for disk in report.disks)
