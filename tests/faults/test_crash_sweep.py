"""The server is killed at a point of a migration, started again and left to finish: whatever the point, no rule breaks.

The points are those that good migrations pass: before and after each effect on a pool and each commit. ``make sweep`` runs one for each
state that is left there; this runs a part of those that a fixed seed chooses, first one of each effect.
"""

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.choosing import SEED, Point, chosen, effects_of, states
from tests.faults.conftest import Good
from tests.faults.servers import Nursery
from tests.faults.sweep import VARIANTS, summary, sweep

# One process does the sweeps, where xdist keeps groups: no two of them press the machine at a time then.
pytestmark = pytest.mark.xdist_group("sweeps")

LEAST = 60
# Fewer points than a good migration is known to have: then something is done that no point sees. How often a task is told of progress
# depends on how quick the machine is, so that is not counted.
LEAST_POINTS = {
    "started": 507,
    "left-halted": 466,
    "by-blocks": 500,
    "by-blocks-refused": 494,
    "verified": 526,
    "deleted": 486,
    "refused-kept": 536,
    "cancelled": 432,
    "held": 618,
    "committed": 496,
    "taken-back": 558,
    "refused-dropped": 538,
}
_PROGRESS = "task.set_progress"
# Not every migration makes each call as often as the one that the points are from.
MOST_NOT_REACHED = 0.15


@pytest.mark.timeout(1500)
async def test_a_server_is_killed_anywhere(servers: Nursery, good: Good, tmp_path: Path) -> None:
    began = time.monotonic()
    found = await asyncio.to_thread(good, *VARIANTS)
    counts = {name: sum(_PROGRESS not in point.stratum[-1] for point in members) for name, members in found.items()}
    print(counts)
    assert counts.keys() == LEAST_POINTS.keys()
    assert all(counts[name] >= least for name, least in LEAST_POINTS.items()), f"points are missing: {counts}"
    points = states([point for members in found.values() for point in members])
    effects = {effects_of(point) for point in points}
    some = chosen(points, max(LEAST, len(effects)), effects_of)
    results = await sweep(servers, tmp_path, some)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == len(some) >= LEAST
    assert {effects_of(point) for point in some} == effects
    assert not any(result.failure for result in results), told
    assert sum(not result.reached for result in results) <= MOST_NOT_REACHED * len(some), told


def test_a_choice_is_of_every_stratum_first() -> None:
    """And the same each time."""
    points = [Point("v", (f"{name}:{nth}",)) for name in ("a", "b", "c") for nth in range(1, 10)]
    few = chosen(points, 3)
    assert {point.stratum for point in few} == {("", "a"), ("", "b"), ("", "c")}
    assert few == chosen(list(points), 3)
    assert len(set(chosen(points, 20))) == 20


def test_a_state_is_struck_once() -> None:
    """What one effect leaves is what the next one finds, unless two are under way at a time."""
    names = [
        "before a",
        "after a",
        "before b",
        "before a",
        "after b",
        "after a",
        "before commit c",
        "before d",
        "after d",
    ]
    points = [Point("v", (f"{name}:{nth}",)) for nth, name in enumerate(names)]
    others = [Point("w", (f"{name}:1",)) for name in names[:2]]
    left = [points[number] for number in (0, 1, 3, 4, 5, 8)]
    assert states([*points, *others]) == left + others
