"""Costs that have a part for each thing and a part besides: straight lines through what was seen. Pure."""

import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple


class Trend(NamedTuple):
    """What nothing costs, and what one more does; neither is less than nothing."""

    at_zero: float
    each: float = 0.0

    def at(self, count: float) -> float:
        return self.at_zero + self.each * count


def trend_of(points: Sequence[tuple[float, float]], *, usual: Trend) -> Trend | None:
    """Through points of a count and its cost, by the middle of all slopes between two of them, so that one that is far off says little.

    Where all have one count, nothing tells what another would cost: it is as much more, or less, than usual. None without points.
    """
    if not points:
        return None
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    if not slopes:
        times = statistics.median(y for _, y in points) / usual.at(points[0][0])
        return Trend(usual.at_zero * times, usual.each * times)
    each = max(0.0, statistics.median(slopes))
    at_zero = statistics.median(y - each * x for x, y in points)
    if at_zero < 0:  # all of it is for what there is
        return Trend(0.0, statistics.median(y / x for x, y in points if x))
    return Trend(at_zero, each)
