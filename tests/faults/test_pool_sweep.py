"""The same with a pool's process killed at a point and started again, and with the connection of each transfer cut at a random byte."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from tests.faults.choosing import SEED, Point, chosen, cuts, kills
from tests.faults.conftest import Good
from tests.faults.servers import Nursery
from tests.faults.sweep import summary, sweep

# One process does the sweeps, where xdist keeps groups: no two of them press the machine at a time then.
pytestmark = pytest.mark.xdist_group("sweeps")

KILLS, CUTS = 5, 4
MOST_NOT_REACHED = 3


@pytest.mark.timeout(600)
async def test_a_pool_is_killed_or_a_transfer_cut(servers: Nursery, good: Good, tmp_path: Path) -> None:
    began = time.monotonic()
    found = await asyncio.to_thread(good, "started", "refused-dropped")
    points = [point for members in found.values() for point in members]
    cut = cuts(points, random.Random(SEED))
    assert len(cut) >= 20, "two disks in three passes, both ends, both variants"
    some = chosen(kills(points), KILLS) + chosen(cut, CUTS)
    results = await sweep(servers, tmp_path, some)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == KILLS + CUTS
    assert not any(result.failure for result in results), told
    assert sum(not result.reached for result in results) <= MOST_NOT_REACHED, told


def test_a_pool_is_not_killed_twice_between_the_same_calls() -> None:
    """Commits that follow each other are one point for a pool; those of another variant are another's."""
    names = [
        "before commit a:1",
        "after commit a:1",
        "before source VM.start:1",
        "after commit a:2",
        "before commit a:3",
    ]
    points = [Point("v", (name,)) for name in names] + [Point("w", (names[-1],))]
    struck = [str(point) for point in kills(points) if point.incident == "kill-target"]
    assert struck == [
        "v/kill-target/before commit a:1",
        "v/kill-target/before source VM.start:1",
        "v/kill-target/after commit a:2",
        "w/kill-target/before commit a:3",
    ]
