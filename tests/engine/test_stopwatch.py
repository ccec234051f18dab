"""The parts of the downtime add up to the whole."""

from typing import Any

import pytest

from xo_warmig.engine.stopwatch import Stopwatch
from xo_warmig.model.reports import Downtime


class Clock:
    """Its time is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def parts(downtime: Downtime) -> dict[str, Any]:
    return {part.name: pytest.approx(part.seconds) for part in downtime.parts}


def watched() -> Stopwatch:
    """A downtime of 9 s: 2 of shutdown, 4 of which somebody else knows the parts of 3, 1 of start, in that order, and 2 of check."""
    clock = Clock()
    watch = Stopwatch(clock)
    watch.lap("before")  # there is no downtime yet
    watch.split({"before": 7.0})
    clock.time += 50
    watch.start()
    for name, seconds in (("shutdown", 2.0), ("check", 1.5), ("check", 0.5)):
        clock.time += seconds
        watch.lap(name)
    clock.time += 4
    watch.split({"open": 1.0, "transfer": 2.0})
    watch.lap("verify")
    clock.time += 1
    watch.lap("start")
    return watch


def test_parts_of_what_one_process_saw() -> None:
    """Laps of one name add up; what comes before the start does not count."""
    told = watched().downtime(9.02)
    assert parts(told) == {"shutdown": 2.0, "check": 2.0, "open": 1.0, "transfer": 2.0, "verify": 1.0, "start": 1.0}
    assert told.seconds == pytest.approx(9.0)
    assert watched().downtime(None) == told


def test_what_nobody_saw_is_a_part_of_its_own() -> None:
    """A server that was away in the middle: the whole is known from the facts."""
    told = watched().downtime(30.0)
    assert told.seconds == 30.0
    assert told.parts[0].name == "interrupted"
    assert told.parts[0].seconds == pytest.approx(21.0)
    assert sum(part.seconds for part in told.parts) == pytest.approx(30.0)


def test_a_process_that_came_later_saw_nothing() -> None:
    """All of it was interrupted."""
    assert parts(Stopwatch(Clock()).downtime(12.0)) == {"interrupted": 12.0}
    assert Stopwatch(Clock()).downtime(None) == Downtime(seconds=0.0, parts=[])
