"""Runs of several ways to do the same, in turn, so that what the machine does meanwhile strikes all of them alike."""

import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

Way: TypeAlias = Callable[[], Awaitable[None]]


class Taken(NamedTuple):
    """What one run took: seconds, and those of the processors in this process and in its children that ended meanwhile."""

    seconds: float
    processor_seconds: float


async def in_turn(ways: Mapping[str, Way], *, rounds: int, warm_up: bool = True) -> dict[str, list[Taken]]:
    """Every way once in each round, from the first to the last and back in turn.

    A round before the first only warms up: it gets the machine's memory for what is written, which takes longer than a copy and comes
    at random.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for number in range(-1 if warm_up else 0, rounds):
        names = list(ways)
        for name in names if number % 2 else reversed(names):
            each = await _timed(ways[name])
            if number >= 0:
                taken[name].append(each)
    return taken


async def _timed(way: Way) -> Taken:
    processor, start = _processor_seconds(), time.monotonic()
    await way()
    return Taken(time.monotonic() - start, _processor_seconds() - processor)


def _processor_seconds() -> float:
    usages = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ratios(taken: Mapping[str, list[Taken]], ours: str, limit: str) -> list[float]:
    """How much faster ``ours`` was than ``limit``, pair by pair."""
    return [theirs.seconds / our.seconds for our, theirs in zip(taken[ours], taken[limit], strict=True)]
