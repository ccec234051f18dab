"""A server that recovers from one kill is killed again."""

import time
from pathlib import Path

import pytest

from tests.faults.choosing import SEED, Point, chosen
from tests.faults.servers import Nursery
from tests.faults.sweep import summary, sweep, twice

# One process does the sweeps: the good migrations are carried out once, and no two sweeps press the machine at a time.
pytestmark = pytest.mark.xdist_group("sweeps")

FIRST, SECOND = 2, 2


@pytest.mark.timeout(1500)
async def test_a_recovering_server_is_killed_again(
    servers: Nursery, good: dict[str, list[Point]], tmp_path: Path
) -> None:
    began = time.monotonic()
    points = [*good["started"], *good["refused-kept"]]
    pairs = await twice(servers, tmp_path, chosen(points, FIRST), SECOND)
    results = await sweep(servers, tmp_path / "pairs", pairs)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == len(pairs) > FIRST
    assert not any(result.failure for result in results), told
