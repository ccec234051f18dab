"""How much a guest dirties in a time: straight for one that writes new blocks, flat for one that writes over the same ones."""

import math

import pytest

from tests.replication.test_convergence import FULL, a_pass
from xo_warmig.model.passes import PassReport
from xo_warmig.model.units import MIB
from xo_warmig.replication.convergence import Budget, PassAgain
from xo_warmig.replication.dirtying import written_within
from xo_warmig.replication.holding import Hold, Wish, decide_with


def delta(seconds: float, mib: float) -> PassReport:
    """One that grew for so long."""
    return a_pass(mib=mib, dirty_mib=mib / seconds)


@pytest.mark.parametrize(
    ("deltas", "seconds", "mib"),
    [
        ([], 5, 0),
        ([(10, 100)], 5, 50),
        ([(10, 100)], 20, 200),
        ([(100, 1000), (10, 100)], 50, 500),  # always new blocks
        ([(100, 200), (4, 200)], 2, 100),  # always the same ones
        ([(100, 200), (4, 200)], 60, 200),
        ([(100, 200), (4, 200)], 1000, 200),
        ([(4, 150), (60, 200), (60, 220)], 4, 150),  # the newest of its length; what is shorter counts on
        ([(4, 300), (60, 200)], 4, 200 / 15),  # contradicted: it writes less than it did
        ([(60, 100), (4, 200)], 60, 3000),
        ([(10, 100), (10, 0)], 5, 0),
        ([(10, 0), (10, 100)], 5, 50),
    ],
)
def test_what_is_written_within_a_time(deltas: list[tuple[float, float]], seconds: float, mib: float) -> None:
    """Newest last, after a full pass, which tells nothing."""
    passes = [FULL, *(delta(*each) for each in deltas)]
    assert written_within(passes, seconds) == pytest.approx(mib * MIB)


@pytest.mark.parametrize("tau", [0.5, 5.0, 50.0])
def test_a_working_set_is_estimated_within_a_factor_of_three(tau: float) -> None:
    """1000 MiB written over and over: after a short delta and some of a minute, at any time up to two minutes."""

    def dirty(seconds: float) -> float:
        return 1000 * (1 - math.exp(-seconds / tau))

    passes = [FULL, *(delta(seconds, dirty(seconds)) for seconds in (300, 3, 60, 60))]
    for seconds in (1, 2, 5, 15, 60, 120):
        assert 1 / 3 <= written_within(passes, seconds) / (dirty(seconds) * MIB) <= 3


def test_a_hold_takes_a_second_delta_at_once() -> None:
    """The first grew for as long as the full copy took. Then one is taken each interval."""
    budget, wish = Budget(1000.0, 10, 0.0), Wish(hold=True)
    first = [FULL, delta(600, 100)]
    decision = decide_with(first, budget, wish, 1.0, now=first[-1].started + 5)
    assert isinstance(decision, PassAgain)
    assert decision.wait_seconds == 0
    second = [*first, delta(5, 10)]
    assert isinstance(decide_with(second, budget, wish, 1.0, now=second[-1].started + 5), Hold)
