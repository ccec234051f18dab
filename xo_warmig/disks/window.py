"""How much of a disk is asked for ahead: what a round trip holds at the rate at which it comes. Arithmetic only; it is told the time.

A near pool needs little, and little stays in the processor's caches; so a copy starts small. From afar each round shows a rate that what
was asked for could have had twice, until something else than the distance is what holds it back. The round trip is the least that a
read took. What lies behind others of its own kind takes longer; so now and then little is asked for, and it is measured anew.
"""

from collections import deque

from xo_warmig.model.units import MIB

MOST_BYTES = 56 * MIB
_GAIN = 2
_ROUNDS = 32  # the best of so many is the rate: a target that pauses says nothing of the source
_SHORTEST_ROUND_SECONDS = 0.02
_TRUSTED_SECONDS = 10.0


class Window:
    """Of one copy. Moments are monotonic seconds. Not thread-safe."""

    def __init__(self, least_bytes: int, most_bytes: int = MOST_BYTES) -> None:
        self.bytes = least_bytes
        self._least_bytes = least_bytes
        self._wished_most_bytes = most_bytes
        self._most_bytes = max(least_bytes, most_bytes)
        self._trip_seconds: float | None = None
        self._trusted_until = 0.0
        self._probe: _Probe | None = None
        self._rates: deque[float] = deque(maxlen=_ROUNDS)
        self._round_begun: float | None = None
        self._round_bytes = 0

    def widen(self, least_bytes: int) -> None:
        """So much is asked for at least from now on."""
        self._least_bytes = least_bytes
        self._most_bytes = max(least_bytes, self._wished_most_bytes)
        if self._probe is None:
            self._adapt()

    def answered(self, count_bytes: int, *, asked: float, now: float) -> None:
        """All of a read has come that was asked for at ``asked``."""
        if self._trip_seconds is None:
            self._trust(now - asked, now)
        elif self._probe is not None:
            if self._probe.answered(asked, now):
                self._trust(self._probe.least_seconds, now)
                self._end_round(now)
        elif now >= self._trusted_until:
            self._probe, self.bytes = _Probe(now), self._least_bytes // _GAIN
        self._trip_seconds = min(self._trip_seconds or now - asked, now - asked)
        if self._probe is None:
            self._count(count_bytes, now)

    def _trust(self, trip_seconds: float, now: float) -> None:
        self._trip_seconds, self._trusted_until = trip_seconds, now + _TRUSTED_SECONDS
        self._probe = None
        self._adapt()

    def _count(self, count_bytes: int, now: float) -> None:
        if self._round_begun is None:
            self._round_begun = now
            return
        self._round_bytes += count_bytes
        seconds = now - self._round_begun
        if seconds >= max(_SHORTEST_ROUND_SECONDS, self._trip_seconds or 0.0):
            self._rates.append(self._round_bytes / seconds)
            self._end_round(now)
            self._adapt()

    def _end_round(self, now: float) -> None:
        self._round_begun, self._round_bytes = now, 0

    def _adapt(self) -> None:
        wanted = _GAIN * max(self._rates, default=0.0) * (self._trip_seconds or 0.0)
        self.bytes = int(min(self._most_bytes, max(self._least_bytes, wanted)))


class _Probe:
    """Of the round trip, by reads that were asked for while little was under way: for one round of them."""

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._first: float | None = None
        self.least_seconds = 0.0

    def answered(self, asked: float, now: float) -> bool:
        """Whether the round is over."""
        if asked < self._begun:
            return False
        if self._first is None:
            self._first, self.least_seconds = now, now - asked
        self.least_seconds = min(self.least_seconds, now - asked)
        return asked >= self._first
