"""A pool that has only the events of before 6.1: its objects are read again and again, and a VM leaves it as any other does."""

import asyncio

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import World, Worlds, small_vm
from tests.scenarios.test_migration import hashes
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig
from xo_warmig.xapi import mirror


def rename(pool: Pool, vm: str) -> None:
    session = XapiSession(pool)
    session.call("VM.set_name_label", session.call("VM.get_by_uuid", vm), "renamed")


async def shown(world: World, vm: str) -> str:
    """The VM's name, as a client is shown it."""
    objects = await world.client.call("xo.getAllObjects", filter={"type": "VM"})
    return str(objects[vm]["name_label"]) if vm in objects else ""


async def test_a_pool_without_event_from_is_looked_at_again(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes there is seen, and disks are equal after a migration from it."""
    monkeypatch.setattr(mirror, "POLL_SECONDS", 0.2)
    disk = DiskConfig(size_bytes=8 * MIB, allocated_bytes=2 * MIB)
    plain = small_vm(disks=[disk], guest=GuestConfig(kind="none"))
    async with worlds([plain], source={"release": "6.5", "legacy_events": True}) as world:
        assert await shown(world, world.vm) == "web-1"
        await asyncio.to_thread(rename, world.source, world.vm)
        async with asyncio.timeout(20):
            while await shown(world, world.vm) != "renamed":
                await asyncio.sleep(0.1)
        target_vm = await world.migrate(startDestinationVm=False)
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target_vm)
