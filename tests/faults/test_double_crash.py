"""A server that recovers from one kill is killed again."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.choosing import SEED, chosen
from tests.faults.conftest import Good
from tests.faults.servers import Nursery
from tests.faults.sweep import summary, sweep, twice

# One process does the sweeps, where xdist keeps groups: no two of them press the machine at a time then.
pytestmark = pytest.mark.xdist_group("sweeps")

FIRST, SECOND = 2, 2


@pytest.mark.timeout(1500)
async def test_a_recovering_server_is_killed_again(servers: Nursery, good: Good, tmp_path: Path) -> None:
    began = time.monotonic()
    found = await asyncio.to_thread(good, "started", "refused-kept")
    points = [point for members in found.values() for point in members]
    pairs = await twice(servers, tmp_path, chosen(points, FIRST), SECOND)
    results = await sweep(servers, tmp_path / "pairs", pairs)
    told = f"seed {SEED}: {summary(results, began)}"
    print(told)
    assert len(results) == len(pairs) > FIRST
    assert not any(result.failure for result in results), told
