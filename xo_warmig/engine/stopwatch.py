"""The downtime, part by part. The whole is known from the facts; the parts are those that one process saw."""

from xo_warmig.model.reports import Downtime, DowntimePart
from xo_warmig.replication.clock import Clock

# What laps leave out of the whole and is worth a part of its own: a server that was away in the middle.
_SIGNIFICANT_SECONDS = 0.05


class Stopwatch:
    """Laps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: float | None = None
        self._parts: dict[str, float] = {}

    def start(self) -> None:
        """From here on there is downtime."""
        self._last = self._clock.monotonic()
        self._parts = {}

    def lap(self, name: str) -> None:
        """All since the last lap was ``name``. Nothing is measured before the start."""
        if self._last is not None:
            now = self._clock.monotonic()
            self._add(name, now - self._last)
            self._last = now

    def split(self, seconds: dict[str, float]) -> None:
        """Parts that somebody else measured, one after the other since the last lap."""
        if self._last is not None:
            for name, part in seconds.items():
                self._add(name, part)
            self._last += sum(seconds.values())

    def downtime(self, whole_seconds: float | None) -> Downtime:
        """The parts, and what of ``whole_seconds`` nobody saw as ``interrupted``."""
        parts = [DowntimePart(name=name, seconds=seconds) for name, seconds in self._parts.items()]
        seen = sum(self._parts.values())
        if whole_seconds is None or whole_seconds - seen < _SIGNIFICANT_SECONDS:
            return Downtime(seconds=seen, parts=parts)
        unseen = DowntimePart(name="interrupted", seconds=whole_seconds - seen)
        return Downtime(seconds=whole_seconds, parts=[unseen, *parts])

    def _add(self, name: str, seconds: float) -> None:
        self._parts[name] = self._parts.get(name, 0.0) + seconds
