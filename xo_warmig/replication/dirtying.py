"""How much a guest dirties in a time, from the deltas seen so far.

A guest that writes over the same blocks again dirties nearly as much in a few seconds as in a minute, so bytes per second say little
about another length of time. What deltas of several lengths had is a curve that starts at nothing and flattens; between its points it
is taken as straight.
"""

from collections.abc import Sequence
from typing import NamedTuple

from xo_warmig.model.passes import PassReport

# A newer delta of about the same length takes the place of an older one.
_ALIKE = 1.5


class _Point(NamedTuple):
    seconds: float
    bytes: float


def written_within(passes: Sequence[PassReport], seconds: float) -> float:
    """Bytes that a delta would have whose base was taken ``seconds`` ago; 0 before any delta told."""
    before, at = _Point(0.0, 0.0), _Point(0.0, 0.0)
    for point in _curve(passes):
        before, at = at, point
        if seconds <= at.seconds:
            break
    if at.seconds == before.seconds:
        return 0.0
    slope = (at.bytes - before.bytes) / (at.seconds - before.seconds)
    return at.bytes + slope * (seconds - at.seconds)


def _curve(passes: Sequence[PassReport]) -> list[_Point]:
    """By length; of deltas that contradict each other the newer ones."""
    kept: list[_Point] = []
    for each in reversed(passes):
        rate = each.dirty_bytes_per_second
        if rate is None:
            continue
        if rate == 0.0:
            break  # of unknown length, and what came before it says nothing of now
        point = _Point(each.bytes / rate, float(each.bytes))
        if all(_fit(point, other) for other in kept):
            kept.append(point)
    return sorted(kept)


def _fit(one: _Point, other: _Point) -> bool:
    """Whether the longer one has at least as much."""
    short, long = sorted((one, other))
    return long.seconds >= _ALIKE * short.seconds and long.bytes >= short.bytes
