"""The same with a pool's process killed at a point and started again, and with the connection of each transfer cut at a random byte."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.choosing import SEED, Point, chosen, cuts, kills
from tests.faults.servers import Nursery
from tests.faults.sweep import summary, sweep

KILLS, CUTS = 12, 8
MOST_NOT_REACHED = 3


@pytest.mark.timeout(600)
async def test_a_pool_is_killed_or_a_transfer_cut(
    servers: Nursery, good: dict[str, list[Point]], tmp_path: Path
) -> None:
    began = time.monotonic()
    points = [*good["started"], *good["refused-dropped"]]
    cut = cuts(points, random.Random(SEED))
    assert len(cut) >= 20, "two disks in three passes, both ends, both variants"
    some = chosen(kills(points), KILLS) + chosen(cut, CUTS)
    results = await sweep(servers, tmp_path, some)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == KILLS + CUTS
    assert not any(result.failure for result in results), told
    assert sum(not result.reached for result in results) <= MOST_NOT_REACHED, told
