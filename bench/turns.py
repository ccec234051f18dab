"""Runs of several ways to do the same, in turn, so that what the machine does meanwhile strikes all of them alike."""

import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias


class Taken(NamedTuple):
    """What one run took: seconds, and those of the processors in this process and in its children that ended meanwhile."""

    seconds: float
    processor_seconds: float


Run: TypeAlias = Callable[[], Awaitable[None]]


class Turn(NamedTuple):
    """One way to do it, and in how many rounds it takes part, from the first on."""

    run: Run
    rounds: int


async def in_turn(turns: Mapping[str, Turn]) -> dict[str, list[Taken]]:
    """Each once in each of its rounds, from the first to the last and back in turn.

    One run before the first round only warms up: it gets the machine's memory for what is written, which takes longer than a copy and
    comes at random.
    """
    taken: dict[str, list[Taken]] = {name: [] for name in turns}
    await _timed(next(iter(turns.values())).run)
    for number in range(max(turn.rounds for turn in turns.values())):
        names = [name for name, turn in turns.items() if number < turn.rounds]
        for name in names if number % 2 else reversed(names):
            taken[name].append(await _timed(turns[name].run))
    return taken


async def _timed(run: Run) -> Taken:
    processor, start = _processor_seconds(), time.monotonic()
    await run()
    return Taken(time.monotonic() - start, _processor_seconds() - processor)


def _processor_seconds() -> float:
    usages = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ratios(taken: Mapping[str, list[Taken]], ours: str, limit: str) -> list[float]:
    """How much faster ``ours`` was than ``limit``, in each round that both took part in."""
    return [theirs.seconds / our.seconds for our, theirs in zip(taken[ours], taken[limit], strict=False)]
