"""Averages of one VM's figures over time, as rrdd keeps them (ocaml/libs/xapi-rrd/lib/rrd.ml). Pure.

A reading for each step fills the first ring; a longer time's average, every so many steps, the others. A real host also keeps hours and
days, which no simulation lives to see.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

STEP_SECONDS: Final = 5
_RINGS: Final = ((1, 600), (12, 7200))  # steps for a row, and how many seconds there are rows of
_LEAST_KNOWN: Final = 0.5  # of the steps that a row stands for; it is NaN where fewer were known

Figures = Mapping[str, float]


class Row(NamedTuple):
    """``time``: seconds since the epoch, the end of what the row stands for."""

    time: int
    figures: Figures


class Ring(NamedTuple):
    """The newest rows, the oldest first, each of ``steps`` steps."""

    steps: int
    rows: deque[Row]


class Archive:
    """Of one VM."""

    def __init__(self, step_seconds: int = STEP_SECONDS) -> None:
        self._step = step_seconds
        self._rings = [Ring(steps, deque(maxlen=seconds // (step_seconds * steps))) for steps, seconds in _RINGS]

    def add(self, time: int, figures: Figures) -> None:
        """The figures of the step that ended at ``time``, a multiple of the step."""
        first, *longer = self._rings
        first.rows.append(Row(time, figures))
        for ring in longer:
            if time % (self._step * ring.steps) == 0:
                since = time - self._step * ring.steps
                ring.rows.append(Row(time, _averages([row for row in first.rows if row.time > since], ring.steps)))

    @property
    def finest(self) -> Ring:
        return self._rings[0]

    def copy(self) -> "Archive":
        """As it is now, for another thread."""
        archive = Archive(self._step)
        archive._rings = [ring._replace(rows=ring.rows.copy()) for ring in self._rings]
        return archive

    def names(self) -> list[str]:
        """Of all figures that there ever were."""
        return sorted({name for ring in self._rings for row in ring.rows for name in row.figures})

    def best(self, *, start: int, interval: int, now: int) -> Ring:
        """The finest ring of rows no shorter than ``interval`` seconds that goes back to ``start``; else the longest."""
        for ring, (steps, seconds) in zip(self._rings, _RINGS, strict=True):
            if steps >= interval // self._step and start > now - seconds:
                return ring
        return self._rings[-1]


def _averages(rows: Sequence[Row], steps: int) -> dict[str, float]:
    return {name: _average(rows, name, steps) for row in rows for name in row.figures}


def _average(rows: Sequence[Row], name: str, steps: int) -> float:
    known = [value for row in rows if not math.isnan(value := row.figures.get(name, math.nan))]
    return math.nan if len(known) < _LEAST_KNOWN * steps else sum(known) / len(known)
