"""Pools of several hosts whose disks lie on their own storage, and whose master changes in the middle."""

import asyncio
import contextlib
import time

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import World, Worlds, small_vm
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig

MEMBERS = {"hosts": 3, "bandwidth": 16 * MIB}
ON_THE_SECOND_HOST = 2  # after the master's two


def change_master(pool: Pool) -> None:
    """The last host is master soon."""
    session = XapiSession(pool)
    session.call("pool.designate_new_master", session.call("host.get_by_uuid", pool.hosts[-1].uuid))


def see_new_master(pool: Pool) -> None:
    """Wait until the last host is master."""
    end = time.monotonic() + 10
    while pool.hosts[-1].uuid != master_of(pool):
        assert time.monotonic() < end
        time.sleep(0.02)


def master_of(pool: Pool) -> str:
    """As the first host says, while that is the master itself, and the last one from then on."""
    for host in (pool.hosts[0], pool.hosts[-1]):
        with contextlib.suppress(LookupError, OSError):
            session = XapiSession(pool, host.address)
            ref = session.call("pool.get_master", session.call("pool.get_all")[0])
            return str(session.call("host.get_uuid", ref))
    return ""


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
        await asyncio.to_thread(change_master, pool)
        target_vm = await migrating
        report = await world.last_report()
        assert report["phase"] == "done"
        assert report["passes"][0]["verdict"] == "complete"
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target_vm)


@pytest.mark.parametrize("https", [False, True], ids=["in clear", "over TLS"])
async def test_a_master_that_is_replaced_while_nobody_asks_for_anything(worlds: Worlds, https: bool) -> None:
    """The next request finds the new one, whose certificate is believed by the old one's word; the disk is read from the host it is on."""
    fields = {"hosts": 3, "https": https}
    disks = [DiskConfig(size_bytes=8 * MIB, allocated_bytes=2 * MIB, sr=ON_THE_SECOND_HOST)]
    async with worlds([small_vm(disks=disks, guest=GuestConfig(kind="none"))], source=fields, target=fields) as world:
        for pool in (world.source, world.target):
            await asyncio.to_thread(change_master, pool)
            await asyncio.to_thread(see_new_master, pool)
        target_vm = await world.migrate(sr=world.target.srs[ON_THE_SECOND_HOST].uuid, startDestinationVm=False)
        assert (await world.last_report())["phase"] == "done"
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target_vm)
        async with asyncio.timeout(20):
            while await masters(world) != {pool.url: pool.hosts[-1].uuid for pool in (world.source, world.target)}:
                await asyncio.sleep(0.05)


async def masters(world: World) -> dict[str, str]:
    """By the servers' addresses, as the server shows them."""
    return {each["host"]: each["master"] for each in await world.client.call("server.getAll")}
