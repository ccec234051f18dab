"""Disks read by blocks over NBD, on the wire: equal in the end, tracking put back, and exports instead where blocks cannot be had."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import warned
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied, ended, until_phase
from xo_warmig.model.units import KIB, MIB

World = Any
HOLD_SECONDS = 5  # longer than a pass takes on a busy machine, so that a migration is seen to hold
Worlds = Callable[..., Any]


async def transfers(world: World, name: str) -> list[dict[str, Any]]:
    """Those of the source, by the name that the simulator gives them."""
    trace = await world.control(world.source, "trace")
    return [each for each in trace["transfers"] if each["name"] == name]


async def see_clean(world: World) -> None:
    """Nothing of ours is left, tracking included."""
    for pool in (world.source, world.target):
        state = await world.settled(pool)
        assert (state["snapshots"], state["tasks"], state["dom0_vbds"]) == ([], [], [])
        assert not any(vdi["cbt_enabled"] for vdi in state["vdis"] if vdi["managed"])


@pytest.mark.parametrize("purpose", ["insecure_nbd", "nbd"], ids=["in clear", "over TLS"])
async def test_every_byte_arrives_over_nbd(worlds: Worlds, purpose: str) -> None:
    """The first pass by the table of an export, the others by what the pool tracked; nothing but tables comes over HTTP."""
    async with worlds(source={"nbd_purpose": purpose}) as world:
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        assert warned(report) == []
        tables = await transfers(world, "export_raw_vdi")
        assert len(tables) == 2
        assert await transfers(world, "nbd_read")
        await see_clean(world)


async def test_a_delta_is_what_was_tracked(worlds: Worlds) -> None:
    """64 KiB for a few bytes, where an export has 2 MiB."""
    async with worlds(vms=None, source={"nbd_purpose": "insecure_nbd"}) as world:
        await world.control(world.source, "guest", vm=world.vm, stop=True)
        await world.migrate(startDestinationVm=False)
        report = await ended(world)
        first, *others = report["passes"]
        assert first["bytes"] > 16 * MIB
        assert all(each["bytes"] % (64 * KIB) == 0 for each in others)
        assert sum(each["bytes"] for each in others) <= 4 * MIB


async def test_a_pool_that_hangs_up_is_read_by_exports(worlds: Worlds) -> None:
    """It is told, and the migration does not fail of it (R12)."""
    async with worlds(source={"nbd_purpose": "insecure_nbd"}) as world:
        await world.control(world.source, "faults", match="nbd_read", kind="cut", at=0, times=10_000)
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert "WAY_CHANGED" in [each["code"] for each in report["warnings"]]
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        await see_clean(world)


async def test_a_connection_that_breaks_in_the_middle_is_replaced(worlds: Worlds) -> None:
    """Another one reads what it had asked for; the copy, and its import, know nothing of it."""
    async with worlds(source={"nbd_purpose": "insecure_nbd"}) as world:
        await world.control(world.source, "faults", match="nbd_read", kind="cut", at=8 * MIB)
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert warned(report) == []
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        await see_clean(world)


async def test_a_copy_whose_connections_cannot_be_replaced_goes_on_later(worlds: Worlds) -> None:
    """From where it was, with all that was opened for it opened again."""
    async with worlds(source={"nbd_purpose": "insecure_nbd"}) as world:
        await world.control(world.source, "faults", match="nbd_read", kind="cut", at=8 * MIB)
        asking = asyncio.ensure_future(world.migrate(startDestinationVm=False, maxRate=16 * MIB, maxPasses=2))
        await copied(world)
        await world.control(world.source, "faults", match="nbd_read", kind="cut", at=0, times=4)
        target = await asking
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert "COPY_INTERRUPTED" in [each["code"] for each in report["warnings"]]
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        await see_clean(world)


async def test_a_cancelled_copy_leaves_no_connection(worlds: Worlds) -> None:
    """R10; with nothing kept, tracking is off, too."""
    async with worlds(source={"nbd_purpose": "insecure_nbd", "bandwidth": 4 * MIB}) as world:
        asking = asyncio.ensure_future(world.migrate(onFailure="drop"))
        async with asyncio.timeout(20):
            while not (await world.state(world.source))["dom0_vbds"]:
                await asyncio.sleep(0.02)
        report = await world.last_report()
        await world.client.call("warmMigration.cancel", id=report["id"])
        await asyncio.wait({asking})
        assert asking.exception() is not None
        assert (await ended(world))["phase"] == "cancelled"
        await see_clean(world)


def start_again(world: World) -> None:
    """What a person does after a crash."""
    session = XapiSession(world.source)
    session.call("VM.start", session.call("VM.get_by_uuid", world.vm), False, False)


def host_of(world: World) -> str:
    """The uuid of the host that the source runs on."""
    session = XapiSession(world.source)
    ref = session.call("VM.get_by_uuid", world.vm)
    return str(session.call("host.get_uuid", session.call("VM.get_resident_on", ref)))


async def test_r21_after_a_crash_of_the_host_the_log_is_not_believed(worlds: Worlds) -> None:
    """It may lack writes and look whole. The retry begins with an export against the kept base, and every byte arrives."""
    async with worlds(source={"nbd_purpose": "insecure_nbd"}) as world:
        asking = asyncio.ensure_future(world.migrate(cutover="hold", minPassInterval=HOLD_SECONDS))
        await until_phase(world, "holding")
        await asyncio.sleep(0.5)  # the guest writes
        await world.control(world.source, "host", host=await asyncio.to_thread(host_of, world), crash=True)
        await asyncio.wait({asking}, timeout=60)
        assert asking.done()
        assert (await ended(world))["phase"] == "failed"
        await asyncio.to_thread(start_again, world)
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        events = await world.client.call("warmMigration.events", id=report["id"])
        started = [each["event"] for each in events if each["event"]["type"] == "passStarted"]
        assert {disk["way"] for disk in started[0]["plan"]["disks"]} == {"vhd"}
        assert {disk["way"] for disk in started[-1]["plan"]["disks"]} == {"cbt"}
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        await see_clean(world)
