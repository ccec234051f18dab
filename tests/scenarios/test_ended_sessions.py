"""Sessions that a pool ends in the middle of a long copy: the copy goes on, and what comes after it logs in again."""

import asyncio

import pytest

from tests.scenarios.conftest import World, Worlds, small_vm, warned
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied, ended
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig

SLOW = {"bandwidth": 16 * MIB}


async def log_ins(world: World, pool: Pool) -> int:
    trace = await world.control(pool, "trace")
    return [call["method"] for call in trace["calls"]].count("session.login_with_password")


@pytest.mark.parametrize("purpose", ["", "insecure_nbd"], ids=["by exports", "over NBD"])
async def test_a_session_that_ends_in_the_full_copy(worlds: Worlds, purpose: str) -> None:
    """Of both pools: no transfer is begun anew, each pool is logged in to once more, and disks are equal."""
    vm = small_vm(disks=[DiskConfig(size_bytes=64 * MIB, allocated_bytes=48 * MIB)], guest=GuestConfig(kind="none"))
    async with worlds([vm], source=SLOW | {"nbd_purpose": purpose}, target=SLOW) as world:
        migrating = asyncio.ensure_future(world.migrate(startDestinationVm=False))
        await copied(world, 8 * MIB)
        for pool in (world.source, world.target):
            assert (await world.control(pool, "sessions", end=True))["ended"] > 0
        target = await migrating
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert report["passes"][0]["verdict"] == "complete"
        assert warned(report) == []
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        for pool in (world.source, world.target):
            assert await log_ins(world, pool) == 2
