"""The same with a pool's process killed at a point and started again, and with the connection of each transfer cut at a random byte."""

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.faults.servers import Nursery
from tests.faults.sweep import SEED, VARIANTS, Point, chosen, good_points, summary, sweep

KILLS, CUTS = 12, 8
OPENINGS = ("open_export", "open_import")
# Less than the shortest transfer of the migrations here has: a final pass with one changed cluster for each disk.
MOST_BYTES = 64 << 10
MOST_NOT_REACHED = 3
SIDES = ("source", "target")


def kills(points: Iterable[Point]) -> list[Point]:
    """Each pool's process killed at each point."""
    return [Point(point.variant, point.strikes, f"kill-{side}") for point in points for side in SIDES]


def cuts(points: Sequence[Point], chance: random.Random) -> list[Point]:
    """Each transfer cut at a byte of its own."""
    names = {point: point.strikes[0].rpartition(":")[0] for point in points}
    opening = [point for point, name in names.items() if name.startswith("before") and name.endswith(OPENINGS)]
    return [Point(point.variant, point.strikes, f"cut@{chance.randrange(1, MOST_BYTES)}") for point in opening]


@pytest.mark.timeout(600)
async def test_a_pool_is_killed_or_a_transfer_cut(servers: Nursery, tmp_path: Path) -> None:
    began = time.monotonic()
    variants = [VARIANTS["started"], VARIANTS["refused-dropped"]]
    points = [point for found in (await good_points(servers, tmp_path / "good", variants)).values() for point in found]
    cut = cuts(points, random.Random(SEED))
    assert len(cut) >= 20, "two disks in three passes, both ends, both variants"
    some = chosen(kills(points), KILLS) + chosen(cut, CUTS)
    results = await sweep(servers, tmp_path, some)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == KILLS + CUTS
    assert not any(result.failure for result in results), told
    assert sum(not result.reached for result in results) <= MOST_NOT_REACHED, told
