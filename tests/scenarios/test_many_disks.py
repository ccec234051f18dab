"""More disks at once than a host serves over NBD, on the wire: they share its connections, wait their turn, and none fails of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.scenarios.conftest import warned
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended, until, until_phase
from xo_warmig.model.units import KIB, MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

SOURCE = {"nbd_purpose": "insecure_nbd"}
MOST_PER_HOST = 8
SLOW = 2 * MIB  # a pass at this rate outlives every test


QUIET = GuestConfig()


def vm_of(name: str, disks: int, allocated_bytes: int, guest: GuestConfig = QUIET) -> VmConfig:
    return VmConfig(
        name_label=name,
        disks=[DiskConfig(size_bytes=128 * MIB, allocated_bytes=allocated_bytes) for _ in range(disks)],
        guest=guest,
    )


async def start(world: World, nth: int, **options: Any) -> str:
    """``warmMigration.start`` of the source's VM with that number; its id."""
    return str(await world.start(vm=world.source.vms[nth].uuid, startDestinationVm=False, **options))


async def connections(world: World) -> int:
    """That the source's host serves now: it attaches a disk for each."""
    return len((await world.state(world.source))["dom0_vbds"])


async def see_copied_by_blocks(world: World, nth: int, report: dict[str, Any]) -> None:
    """Every byte, none of it from an export."""
    assert report["phase"] == "done", report["error"]
    assert "WAY_CHANGED" not in [each["code"] for each in report["warnings"]]
    assert {disk["way"] for each in report["passes"] for disk in each["disks"]} <= {"nbd", "cbt"}
    vm = world.source.vms[nth].uuid
    assert await hashes(world, world.source, vm) == await hashes(world, world.target, report["targetVm"])


async def fill_the_host(world: World, nth: int) -> str:
    """A full pass that has every connection that ordinary copies may have, and goes on for long; its id."""
    migration = await start(world, nth, transport="nbd", maxRate=SLOW)
    async with asyncio.timeout(30):
        while await connections(world) < MOST_PER_HOST:
            await asyncio.sleep(0.05)
    return migration


async def test_three_large_disks_of_three_vms_are_all_read_over_nbd(worlds: Worlds) -> None:
    """The first two had all connections; the third gets its part of them at once, and no host more than it may."""
    vms = [vm_of(f"web-{n}", 1, 72 * MIB) for n in range(3)]
    async with worlds(vms=vms, source=SOURCE) as world:
        running = [await start(world, nth, maxRate=24 * MIB) for nth in range(3)]
        ends = asyncio.gather(*(ended(world, each, 120) for each in running))
        most = 0
        while not ends.done():
            most = max(most, await connections(world))
            await asyncio.sleep(0.05)
        print("connections at most:", most)
        assert 4 < most <= MOST_PER_HOST + 3, "a table is read from the head of an export, which attaches the disk, too"
        for nth, report in enumerate(await ends):
            await see_copied_by_blocks(world, nth, report)


async def test_twelve_disks_take_turns_where_nothing_but_nbd_is_allowed(worlds: Worlds) -> None:
    """In the first pass and in the downtime, in which all of them have changed."""
    guest = GuestConfig(kind="blocks", rate=24 * MIB, cluster=64 * KIB, span=4 * MIB, disks=list(range(12)))
    vm = vm_of("db", 12, 4 * MIB, guest)
    async with worlds(vms=[vm], source=SOURCE) as world:
        report = await ended(world, await start(world, 0, transport="nbd", maxPasses=2), 120)
        assert sum(disk["readBytes"] > 0 for disk in report["passes"][-1]["disks"]) > 10
        await see_copied_by_blocks(world, 0, report)


async def test_a_final_pass_waits_for_no_full_pass_of_others(worlds: Worlds) -> None:
    """All ordinary connections are in use for long; the VM that is down is served all the same, and the others go on."""
    web = vm_of("web", 1, 16 * MIB, GuestConfig(kind="blocks", rate=MIB, span=16 * MIB))
    async with worlds(vms=[web, vm_of("db", MOST_PER_HOST, 16 * MIB)], source=SOURCE) as world:
        held = await start(world, 0, transport="nbd", cutover="hold", minPassInterval=5, targetDowntime=60)
        await until_phase(world, "holding", held)
        full = await fill_the_host(world, 1)
        await world.client.call("warmMigration.cutover", id=held)
        report = await ended(world, held, 120)
        await see_copied_by_blocks(world, 0, report)
        final = report["passes"][-1]
        print("final pass:", final["seconds"], "s, open", final["disks"][0]["openSeconds"], "s")
        assert final["bytes"] > 0
        assert final["disks"][0]["openSeconds"] < 5.0
        other = await world.last_report(full)
        assert (other["phase"], other["finished"]) == ("copying", None)
        await world.client.call("warmMigration.cancel", id=full)
        assert (await ended(world, full, 120))["phase"] == "cancelled"


async def test_whoever_waits_for_a_connection_says_so_and_can_be_cancelled(worlds: Worlds) -> None:
    """Nothing of it is open meanwhile, and it has not failed."""
    async with worlds(vms=[vm_of("web", 1, 16 * MIB), vm_of("db", MOST_PER_HOST, 16 * MIB)], source=SOURCE) as world:
        full = await fill_the_host(world, 1)
        waiting = await start(world, 0, transport="nbd")
        report = await until(world, lambda report: report["waitingFor"] == "slot", waiting, 20)
        assert "NBD connections" in report["waitingReason"]
        assert warned(report) == []
        assert await connections(world) == MOST_PER_HOST
        for each in (waiting, full):
            await world.client.call("warmMigration.cancel", id=each)
        async with asyncio.timeout(20):
            assert [(await ended(world, each, 120))["phase"] for each in (waiting, full)] == ["cancelled"] * 2
