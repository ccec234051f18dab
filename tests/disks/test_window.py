"""How much is asked for ahead, against a source that is so far away and so fast, on a clock that costs no time."""

import heapq

import pytest

from xo_warmig.disks.window import MOST_BYTES, Window
from xo_warmig.model.units import KIB, MIB

READ_BYTES = 512 * KIB
LEAST_BYTES = 4 * MIB


class Source:
    """Answers reads one after the other, each at least a round trip after it was asked for."""

    def __init__(self, trip_seconds: float, bytes_per_second: float) -> None:
        self.now = 0.0
        self.trip_seconds = trip_seconds
        self.seconds_each = READ_BYTES / bytes_per_second
        self._free_at = 0.0
        self._under_way: list[tuple[float, float]] = []  # when it is answered, and was asked for

    def run(self, window: Window, seconds: float) -> float:
        """With as much under way as may be; the bytes per second that came."""
        begun, came_bytes = self.now, 0
        while self.now < begun + seconds:
            while not self._under_way or len(self._under_way) * READ_BYTES < window.bytes:
                self._ask()
            answered, asked = heapq.heappop(self._under_way)
            self.now = max(self.now, answered)
            window.answered(READ_BYTES, asked=asked, now=self.now)
            came_bytes += READ_BYTES
        return came_bytes / (self.now - begun)

    def _ask(self) -> None:
        self._free_at = max(self._free_at, self.now + self.trip_seconds) + self.seconds_each
        heapq.heappush(self._under_way, (self._free_at, self.now))


@pytest.mark.parametrize("rate", [50 * MIB, 400 * MIB, 2000 * MIB])
def test_a_near_source_is_asked_for_little(rate: float) -> None:
    """However fast: what is under way stays in the processor's caches."""
    window = Window(LEAST_BYTES)
    Source(0.0002, rate).run(window, 15.0)
    assert window.bytes < 1.1 * LEAST_BYTES


@pytest.mark.parametrize(("trip_seconds", "at_least"), [(0.001, 0.99), (0.01, 0.97), (0.05, 0.9), (0.1, 0.8)])
def test_distance_costs_little_of_the_rate(trip_seconds: float, at_least: float) -> None:
    """From the first byte on, over five seconds."""
    rate = 400 * MIB
    assert Source(trip_seconds, rate).run(Window(LEAST_BYTES), 5.0) > at_least * rate


def test_no_more_than_twice_what_the_way_holds_is_asked_for() -> None:
    """The rest would only wait, here or there."""
    window = Window(LEAST_BYTES)
    Source(0.02, 400 * MIB).run(window, 30.0)
    assert window.bytes <= 2.3 * 0.02 * 400 * MIB


def test_there_is_a_bound() -> None:
    """Whatever the distance."""
    window = Window(LEAST_BYTES)
    Source(1.0, 400 * MIB).run(window, 30.0)
    assert window.bytes == MOST_BYTES


def test_what_comes_nearer_is_asked_for_less_and_what_goes_away_for_more() -> None:
    """When the round trip is measured anew, which costs little."""
    window, source = Window(LEAST_BYTES), Source(0.05, 400 * MIB)
    source.run(window, 2.0)
    source.trip_seconds = 0.002
    source.run(window, 15.0)
    assert window.bytes < 1.1 * LEAST_BYTES
    source.trip_seconds = 0.05
    source.run(window, 15.0)
    assert source.run(window, 15.0) > 0.9 * 400 * MIB


def test_a_pause_of_the_target_is_not_taken_for_a_slow_source() -> None:
    """An import is closed and opened again now and then."""
    window, source = Window(LEAST_BYTES), Source(0.05, 400 * MIB)
    source.run(window, 2.0)
    before = window.bytes
    source.now += 5.0
    source.run(window, 0.2)
    assert window.bytes > 0.7 * before
