"""What a plan says of a VM that never migrated, by what its host saw it write."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.conftest import small_vm
from xo_warmig.model.units import MIB
from xo_warmig.simulator.site import GuestConfig

RATE = 3 * MIB


@pytest.mark.parametrize("release", ["7.6", "8.3"])
async def test_a_plan_knows_what_the_guest_writes(worlds: Callable[..., Any], release: str) -> None:
    """From the host that it runs on, one of two; it is asked, and nothing is changed."""
    guest = GuestConfig(kind="blocks", rate=RATE, disks=[0, 1])
    source = {"metrics_step_seconds": 1, "hosts": 2, "release": release}
    async with worlds(vms=[small_vm(guest=guest)], source=source) as world:
        before = [await world.changes(pool) for pool in (world.source, world.target)]
        written = await sampled(world)
        assert written["value"] == pytest.approx(RATE, rel=0.6)
        assert [await world.changes(pool) for pool in (world.source, world.target)] == before


async def sampled(world: Any) -> dict[str, Any]:
    """The plan's figure, as soon as the host took two readings."""
    async with asyncio.timeout(15):
        while True:
            estimate = (await world.plan())["estimate"]
            written: dict[str, Any] = estimate["writtenBytesPerSecond"]
            if written["source"] == "sampled":
                parts = {part["name"]: part["source"] for part in estimate["downtimeParts"]}
                assert parts["transfer"] == "default"  # the way's speed is not known yet
                return written
            assert written["source"] == "default"
            await asyncio.sleep(0.2)
