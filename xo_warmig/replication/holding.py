"""Waiting for a word or a time before the cutover, with passes in between that keep the last one small. Pure.

``hold``: passes until the downtime is as short as it gets, then one every ``interval``, until somebody says to cut over. A time: the
same, and the last pass begins early enough to be over by then. After the word, or the time, convergence decides as it always does:
at once when the downtime is within the budget, else after the passes that still gain.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.passes import PassReport
from xo_warmig.replication.convergence import Budget, CutOver, PassAgain, decide, measured, throughput_of, wait_seconds
from xo_warmig.replication.dirtying import written_within

AUTO, HOLD = "auto", "hold"
# When the caller gives no least interval: a hold for days must not make a snapshot each second.
HOLD_INTERVAL_SECONDS = 60.0
# What is added to the time that the last pass is expected to take.
_MARGIN = 1.25
_LEAST_LEAD_SECONDS = 5.0


class Wish(NamedTuple):
    """When the caller wants the cutover. ``time``: seconds since the epoch, None without one. ``asked_after``: passes at the word."""

    hold: bool
    time: float | None = None
    asked_after: int | None = None

    def is_due(self, now: float) -> bool:
        """Whether nothing is waited for any more."""
        if self.asked_after is not None or not (self.hold or self.time is not None):
            return True
        return self.time is not None and now >= self.time


class Hold(NamedTuple):
    """Nothing to do for ``wait_seconds``, then another pass or another look. ``for_time``: for a time, not for a word."""

    predicted_downtime_seconds: float | None
    wait_seconds: float
    for_time: bool


def parse_wish(text: str, asked_after: int | None = None) -> Wish:
    """``auto``, ``hold`` or a time as ISO 8601 with its offset from UTC.

    Raises:
        InvalidRequest: code BAD_CUTOVER.
    """
    if text in (AUTO, HOLD):
        return Wish(hold=text == HOLD, asked_after=asked_after)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _bad(text, "is neither auto nor hold nor a time") from None
    if time.tzinfo is None:
        raise _bad(text, "does not say its offset from UTC")
    return Wish(hold=False, time=time.timestamp(), asked_after=asked_after)


def _bad(text: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"cutover {text!r} {why}",
        code="BAD_CUTOVER",
        evidence={"instancePath": "/cutover", "actual": text},
        remedy='give "auto", "hold", or a time such as 2030-01-31T03:00:00+01:00',
    )


def decide_with(
    passes: Sequence[PassReport],
    budget: Budget,
    wish: Wish,
    predicted: float | None,
    *,
    now: float,
    most_bytes_per_second: float | None = None,
) -> CutOver | PassAgain | Hold:
    """What follows the last of ``passes``, all complete and none final, given when the caller wants the cutover.

    Args:
        most_bytes_per_second: what a pass may use now.
    """
    if wish.is_due(now):
        return decide(passes, _counted(budget, passes, wish), predicted, now=now)
    # No pass is refused for being one too many while a person makes it wait.
    endless = budget._replace(max_passes=len(passes) + 2)
    decision = decide(passes, endless, predicted, now=now)
    if isinstance(decision, PassAgain):
        return decision
    if wish.hold and len(measured(passes)) < 2:
        # As short as it gets: the first delta took as long to grow as the full copy took, which says little of the next seconds.
        return PassAgain("holding", predicted, wait_seconds(passes, budget, now))
    interval = budget.min_pass_interval_seconds or HOLD_INTERVAL_SECONDS
    waits = [passes[-1].started + interval - now]
    if wish.time is not None:
        lead = lead_seconds(passes, now=now, most_bytes_per_second=most_bytes_per_second)
        last_begins = wish.time - lead
        # The last pass begins then; the one before it must not be in its way.
        waits = [last_begins - now] if passes[-1].started + interval > last_begins - lead else waits
        if passes[-1].started >= last_begins:
            waits = [wish.time - now]
    wait = min(waits)
    if wait <= 0:
        return PassAgain("holding", predicted, 0.0)
    return Hold(predicted, wait, for_time=wish.time is not None)


def _counted(budget: Budget, passes: Sequence[PassReport], wish: Wish) -> Budget:
    """The most passes count from the word, or the time, on."""
    if wish.asked_after is not None:
        return budget._replace(max_passes=wish.asked_after + budget.max_passes)
    if wish.time is not None:
        before = sum(each.started < wish.time for each in passes)
        return budget._replace(max_passes=before + budget.max_passes)
    return budget


def lead_seconds(passes: Sequence[PassReport], *, now: float, most_bytes_per_second: float | None = None) -> float:
    """How long a pass that begins now is expected to take, with some margin. It is no final one, so limits hold for it."""
    known = measured(passes)
    if not known:
        return _LEAST_LEAD_SECONDS
    throughput = min(throughput_of(passes), most_bytes_per_second or math.inf)
    moved = written_within(passes, max(0.0, now - passes[-1].started)) / throughput if throughput > 0 else 0.0
    return max(_LEAST_LEAD_SECONDS, (known[-1].fixed_seconds + moved) * _MARGIN)
