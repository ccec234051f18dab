"""Costs with a part for each thing."""

import pytest

from xo_warmig.replication.trends import Trend, trend_of

USUAL = Trend(1.0, 1.0)


def test_a_line_through_what_was_seen() -> None:
    """Of one that is far off it takes no notice."""
    assert trend_of([(1, 3.0), (2, 5.0), (3, 7.0)], usual=USUAL) == Trend(1.0, 2.0)
    line = trend_of([(1, 3.0), (2, 5.0), (3, 7.0), (3, 60.0), (2, 5.0), (1, 3.0)], usual=USUAL)
    assert line is not None
    assert line.at(2) == pytest.approx(5.0, rel=0.1)


def test_where_nothing_tells_what_another_one_costs() -> None:
    """What is usual, as many times as what was seen is."""
    assert trend_of([], usual=USUAL) is None
    assert trend_of([(2, 5.0), (2, 7.0), (2, 6.0)], usual=USUAL) == Trend(2.0, 2.0)
    assert trend_of([(0, 3.0)], usual=USUAL) == Trend(3.0, 3.0)


def test_nothing_costs_less_than_nothing() -> None:
    """Neither one more thing, nor none."""
    assert trend_of([(1, 6.0), (3, 4.0)], usual=USUAL) == Trend(5.0)
    assert trend_of([(1, 1.0), (2, 4.0), (3, 6.0)], usual=USUAL) == Trend(0.0, 2.0)
