"""A server that recovers from one kill is killed again."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.points import numbered
from tests.faults.rules import assert_rules
from tests.faults.scene import scene_of
from tests.faults.servers import Nursery
from tests.faults.sweep import LANES, SEED, VARIANTS, Point, chosen, good_points, summary, sweep

FIRST, SECOND = 5, 3


async def twice(nursery: Nursery, directory: Path, first: list[Point], seconds: int) -> list[Point]:
    """Pairs: each of these points, and so many of those that the server passes which recovers from it."""
    chance = random.Random(SEED)
    found: list[Point] = []
    for number, point in enumerate(first):
        async with scene_of(nursery, directory / f"recovering-{number}", 1) as scene:
            await scene.arm(VARIANTS[point.variant])
            migration = scene.migration(VARIANTS[point.variant])
            told = await migration.carry_out(point.strikes)
            assert_rules(told.story)
            assert told.struck, f"{point} was not reached"
            recovering = numbered(told.passed[1])
            assert recovering, f"the server that recovers from {point} passes no point"
            some = chance.sample(recovering, min(seconds, len(recovering)))
            found += [Point(point.variant, (*point.strikes, second)) for second in some]
    return found


@pytest.mark.timeout(600)
async def test_a_recovering_server_is_killed_again(servers: Nursery, tmp_path: Path) -> None:
    began = time.monotonic()
    variants = [VARIANTS["started"], VARIANTS["refused-kept"]]
    points = [point for found in (await good_points(servers, tmp_path / "good", variants)).values() for point in found]
    pairs = await twice(servers, tmp_path, chosen(points, FIRST), SECOND)
    results = await sweep(servers, tmp_path / "pairs", pairs, lanes=LANES)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == len(pairs) > FIRST
    assert not any(result.failure for result in results), told
