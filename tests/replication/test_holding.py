"""Waiting for a word or a time, as tables."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.replication.test_convergence import FULL, a_pass
from xo_warmig.errors import InvalidRequest
from xo_warmig.replication.convergence import Budget, CutOver, PassAgain
from xo_warmig.replication.holding import Hold, Wish, decide_with, lead_seconds, parse_wish

BUDGET = Budget(target_downtime_seconds=10.0, max_passes=10, min_pass_interval_seconds=0.0)
NOW = 1000.0


def deltas(*started: float) -> list[Any]:
    """A full pass and deltas that converged, begun then."""
    return [FULL, *(a_pass(started=each, predicted=4.0) for each in started)]


def after(passes: list[Any], wish: Wish, *, now: float = NOW, budget: Budget = BUDGET, predicted: float = 4.0) -> Any:
    return decide_with(passes, budget, wish, predicted, now=now)


HELD = Wish(hold=True)


def test_auto_is_plain_convergence() -> None:
    """Nothing is waited for."""
    assert after(deltas(990.0), parse_wish("auto")) == CutOver("target_downtime", 4.0, True)


@pytest.mark.parametrize(
    ("started", "interval", "waits"),
    [
        ((900.0, 990.0), 0.0, 50.0),  # without an interval of the caller's, one a minute
        ((900.0, 990.0), 300.0, 290.0),
        ((600.0, 700.0), 300.0, None),
        ((900.0, 940.0), 0.0, None),
    ],
)
def test_a_hold_takes_a_pass_in_each_interval(started: tuple[float, ...], interval: float, waits: float | None) -> None:
    """And waits in between, however short the downtime would be."""
    decision = after(deltas(*started), HELD, budget=BUDGET._replace(min_pass_interval_seconds=interval))
    expected = PassAgain("holding", 4.0, 0.0) if waits is None else Hold(4.0, waits, for_time=False)
    assert decision == expected


def test_one_delta_says_too_little() -> None:
    """Its age is that of the full copy: another one at once."""
    assert after(deltas(990.0), HELD) == PassAgain("holding", 4.0, 0.0)


def test_a_hold_is_not_ended_by_the_most_passes() -> None:
    """They count from the word on."""
    many = deltas(*(float(each) for each in range(100, 990, 10)))
    assert isinstance(after(many, HELD), Hold | PassAgain)
    asked = Wish(hold=True, asked_after=len(many))
    above = after(many, asked, predicted=40.0)
    assert not (isinstance(above, CutOver) and above.reason == "max_passes")


def test_the_word_ends_a_hold() -> None:
    """At once, when the downtime is within the budget."""
    assert after(deltas(900.0, 990.0), Wish(hold=True, asked_after=3)) == CutOver("target_downtime", 4.0, True)


@pytest.mark.parametrize(
    ("due", "started", "expected"),
    [
        # Far away: as any hold.
        (NOW + 3600, (900.0, 990.0), Hold(4.0, 50.0, for_time=True)),
        # The next pass would be in the way of the last one: wait for that.
        (NOW + 56, (900.0, 990.0), Hold(4.0, 56.0 - 5.0, for_time=True)),
        # Time for the last pass.
        (NOW + 4, (900.0, 990.0), PassAgain("holding", 4.0, 0.0)),
        # It was taken.
        (NOW + 2, (900.0, NOW + 2 - 4.5), Hold(4.0, 2.0, for_time=True)),
        # It is due.
        (NOW, (900.0, 996.0), CutOver("target_downtime", 4.0, True)),
        (NOW - 100, (900.0, 996.0), CutOver("target_downtime", 4.0, True)),
    ],
)
def test_a_time(due: float, started: tuple[float, ...], expected: Any) -> None:
    """The last pass begins early enough to be over by then."""
    assert lead_seconds(deltas(*started), now=NOW) == pytest.approx(5.0, abs=1.0)
    decision = after(deltas(*started), Wish(hold=False, time=due))
    assert type(decision) is type(expected)
    assert decision[-1] == expected[-1]
    if isinstance(expected, Hold):
        assert decision.wait_seconds == pytest.approx(expected.wait_seconds, abs=1.0)


def test_a_slow_pass_begins_earlier() -> None:
    """What a pass costs, and what was written since the last one, with a margin; a guest that writes over the same writes no more."""
    slow = [FULL, a_pass(started=900.0), a_pass(started=940.0, fixed=30.0, dirty_mib=50.0)]
    assert lead_seconds(slow, now=NOW) == pytest.approx((30.0 + 100 / 100) * 1.25, rel=0.01)
    assert lead_seconds([FULL], now=NOW) == 5.0


def test_the_last_pass_before_a_time_is_held_to_the_limit_of_the_hour() -> None:
    """Only the final one is exempt: what a free pass made at night is nothing to count on."""
    free = [FULL, a_pass(started=900.0), a_pass(started=990.0)]
    assert lead_seconds(free, now=NOW + 40) == pytest.approx((1.0 + 5.0) * 1.25, rel=0.05)
    assert lead_seconds(free, now=NOW + 40, most_bytes_per_second=10 << 20) == pytest.approx(
        (1.0 + 50.0) * 1.25, rel=0.05
    )
    due = Wish(hold=False, time=NOW + 56)
    assert decide_with(free, BUDGET, due, 4.0, now=NOW) == Hold(4.0, 51.0, for_time=True)
    held = decide_with(free, BUDGET, due, 4.0, now=NOW + 30, most_bytes_per_second=10 << 20)
    assert held == PassAgain("holding", 4.0, 0.0)


def test_wishes_are_read() -> None:
    """With their offset from UTC."""
    assert parse_wish("hold") == Wish(hold=True)
    assert parse_wish("auto", 3) == Wish(hold=False, asked_after=3)
    time = datetime(2030, 1, 31, 2, 0, tzinfo=UTC).timestamp()
    assert parse_wish("2030-01-31T03:00:00+01:00") == Wish(hold=False, time=time)


@pytest.mark.parametrize("text", ["", "later", "2030-01-31T03:00:00", "2030-13-31T03:00:00+01:00"])
def test_what_is_no_wish_is_refused(text: str) -> None:
    """Naming the field."""
    with pytest.raises(InvalidRequest) as refused:
        parse_wish(text)
    assert (refused.value.code, refused.value.evidence["instancePath"]) == ("BAD_CUTOVER", "/cutover")
