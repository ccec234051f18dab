"""How long bytes take under limits that change with the hour: a copy that begins shortly before the night goes by the night's.

Decisions only. Minutes are those of the day on the server's own clock, seconds count from now.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from xo_warmig.model.rates import RateTable

_DAY: Final = 24 * 60


class Line(NamedTuple):
    """All limits on a way; at each moment the lowest holds. ``minute``: now."""

    tables: Sequence[RateTable] = ()
    minute: int = 0

    def speed(self, speed: float, begin: float) -> float:
        """What passes then, in bytes per second, of what would be ``speed`` without limits."""
        return self._held(speed, self._minute(begin))

    def seconds(self, count_bytes: float, speed: float, begin: float) -> float:
        """How long so many bytes take that would pass at ``speed`` without limits, begun ``begin`` seconds from now."""
        spans = self._spans()
        in_a_day = sum(self._held(speed, begins) * (ends - begins) * 60 for begins, ends in spans)
        days, left_bytes = divmod(count_bytes, in_a_day)
        seconds = days * _DAY * 60
        for begins, ends in _going_on(spans, self._minute(begin)):
            rate = self._held(speed, begins)
            passing = rate * (ends - begins) * 60
            if left_bytes <= passing:
                break
            left_bytes -= passing
            seconds += (ends - begins) * 60
        return seconds + left_bytes / rate

    def _held(self, speed: float, minute: float) -> float:
        rates = (table.at(int(minute)) for table in self.tables)
        return min([speed, *(rate for rate in rates if rate is not None)])

    def _minute(self, seconds: float) -> float:
        return (self.minute + seconds / 60) % _DAY

    def _spans(self) -> list[tuple[int, int]]:
        """The day, in parts that have one rate each."""
        hours = (hour for table in self.tables for hour in table.hours)
        edges = {edge for hour in hours for part in hour.parts() for edge in part}
        return list(itertools.pairwise(sorted({0, _DAY, *edges})))


def _going_on(spans: Sequence[tuple[int, int]], minute: float) -> Iterator[tuple[float, int]]:
    """The rest of today's from ``minute`` on, and then one day after the other."""
    today = [(max(begins, minute), ends) for begins, ends in spans if ends > minute]
    return itertools.chain(today, itertools.cycle(spans))
