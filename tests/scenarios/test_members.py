"""Pools of several hosts whose disks lie on their own storage, and whose master changes in the middle."""

import asyncio
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import Worlds, small_vm
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig

MEMBERS = {"hosts": 3, "bandwidth": 16 * MIB}
ON_THE_SECOND_HOST = 2  # after the master's two


def another_master(pool: Pool) -> str:
    """The uuid of the last host, which is master soon."""
    session = XapiSession(pool)
    host = session.call("host.get_by_uuid", pool.hosts[-1].uuid)
    session.call("pool.designate_new_master", host)
    return pool.hosts[-1].uuid


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_master_that_is_replaced_in_the_full_copy(worlds: Worlds, side: str) -> None:
    """The session is gone, the copy broken, and another host answers: the migration goes on, and disks are equal."""
    disks = [DiskConfig(size_bytes=96 * MIB, allocated_bytes=64 * MIB, sr=ON_THE_SECOND_HOST)]
    vm = small_vm(disks=disks, guest=GuestConfig(kind="none"))
    async with worlds([vm], source=MEMBERS, target=MEMBERS) as world:
        pool = world.source if side == "source" else world.target
        sr = world.target.srs[ON_THE_SECOND_HOST].uuid
        migrating = asyncio.ensure_future(world.migrate(sr=sr, startDestinationVm=False))
        await copied(world, 16 * MIB)
        await asyncio.to_thread(another_master, pool)
        target_vm = await migrating
        report = await world.last_report()
        assert report["phase"] == "done"
        assert report["passes"][0]["verdict"] == "complete"
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target_vm)


async def copied(world: Any, count_bytes: int) -> None:
    """Wait until so much of the full pass was sent."""
    async with asyncio.timeout(60):
        while True:
            reports = await world.client.call("warmMigration.list")
            current = reports[0].get("currentPass") if reports else None
            if current and sum(disk["doneBytes"] for disk in current["disks"]) >= count_bytes:
                return
            await asyncio.sleep(0.1)


async def hashes(world: Any, pool: Pool, vm: str) -> list[str]:
    """Of the VM's disks, in order."""
    state = await world.state(pool, hash="1")
    (found,) = [each for each in state["vms"] if each["uuid"] == vm]
    by_uuid = {vdi["uuid"]: vdi["hash"] for vdi in state["vdis"] if "hash" in vdi}
    return [by_uuid[vbd["vdi"]] for vbd in found["vbds"] if vbd["type"] == "Disk"]
