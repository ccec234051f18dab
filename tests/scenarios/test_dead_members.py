"""Hosts that lose their power and stay down for a while: in the full copy, before the start of the target, and while a plan is made."""

import asyncio
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import World, Worlds, small_vm
from tests.scenarios.test_members import ON_THE_SECOND_HOST
from tests.scenarios.test_migration import hashes
from xo_warmig.client import CallFailed
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

HALTED, RUNNING = "archive", "web"
DOWN_SECONDS = 4.0  # time to see that transfers do not end


def vm_on_the_member(name: str, power_state: str) -> VmConfig:
    disks = [DiskConfig(size_bytes=48 * MIB, allocated_bytes=32 * MIB, sr=ON_THE_SECOND_HOST)]
    guest = GuestConfig(kind="none")
    return small_vm(name_label=name, disks=disks, guest=guest, power_state=power_state, memory_bytes=256 * MIB)


async def report_of(world: World, vm: str) -> dict[str, Any]:
    reports = await world.client.call("warmMigration.list")
    (found,) = [report for report in reports if report["vm"] == vm]
    return dict(found)


async def copied(world: World, vm: str, count_bytes: int) -> None:
    """Wait until so much of its full pass was sent."""
    async with asyncio.timeout(60):
        while True:
            current = (await report_of(world, vm)).get("currentPass")
            if current and sum(disk["doneBytes"] for disk in current["disks"]) >= count_bytes:
                return
            await asyncio.sleep(0.05)


async def test_a_member_that_has_the_disks_dies_in_the_full_copy_and_comes_back(worlds: Worlds) -> None:
    """The copies wait and go on. A VM that ran there is halted now, which nobody asked for: its migration fails, its copy is kept."""
    vms = [vm_on_the_member(HALTED, "Halted"), vm_on_the_member(RUNNING, "Running")]
    async with worlds(vms, source={"hosts": 2, "bandwidth": 8 * MIB}) as world:
        uuids = {vm.name_label: vm.uuid for vm in world.source.vms}
        member = world.source.hosts[1].uuid
        for vm in uuids.values():
            await world.start(vm=vm, startDestinationVm=False)
        for vm in uuids.values():
            await copied(world, vm, 8 * MIB)
        await world.control(world.source, "host", host=member, down=True, missed=False)
        await asyncio.sleep(DOWN_SECONDS)
        await world.control(world.source, "host", host=member, down=True)
        phases = [(await report_of(world, vm))["phase"] for vm in uuids.values()]
        assert phases == ["finalising", "copying"]  # one pass is all that a halted VM needs
        await world.control(world.source, "host", host=member, up=True)
        ended = {name: await ended_report(world, vm) for name, vm in uuids.items()}
        assert ended[HALTED]["phase"] == "done", ended[HALTED]["error"]
        assert ended[RUNNING]["phase"] == "failed"
        assert ended[RUNNING]["error"]["code"] == "SOURCE_HALTED_UNASKED"
        assert ended[RUNNING]["keptUntil"] is not None
        assert [each["verdict"] for each in ended[RUNNING]["passes"]] == ["complete"]
        assert await hashes(world, world.source, uuids[HALTED]) == await hashes(
            world, world.target, ended[HALTED]["targetVm"]
        )
        assert (await world.vm_of(world.source, uuids[RUNNING]))["power_state"] == "Halted"
        state = await world.settled(world.source)
        assert (state["dom0_vbds"], state["tasks"]) == ([], [])


async def ended_report(world: World, vm: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (report := await report_of(world, vm))["phase"] not in ("done", "failed", "cancelled"):
            await asyncio.sleep(0.1)
    return report


def enable(pool: Pool, host: str, wanted: bool) -> None:
    """A host is in maintenance, or not any more."""
    session = XapiSession(pool)
    session.call("host.enable" if wanted else "host.disable", session.call("host.get_by_uuid", host))


def host_of(pool: Pool, vm: str) -> str:
    session = XapiSession(pool)
    host = session.call("VM.get_resident_on", session.call("VM.get_by_uuid", vm))
    return str(session.call("host.get_uuid", host))


async def test_a_dead_member_of_the_target_starts_nothing(worlds: Worlds) -> None:
    """The plan does not count on it, another host takes the target although this one had more memory, and with none left nothing begins."""
    tiny = GuestConfig(kind="none")
    vms = [
        small_vm(disks=[DiskConfig(size_bytes=8 * MIB, allocated_bytes=2 * MIB)], guest=tiny, name_label=name)
        for name in ("web", "spare")
    ]
    rival = VmConfig(name_label="rival", memory_bytes=20 * GIB, disks=[])
    async with worlds(vms, target={"hosts": 2, "sr_type": "nfs", "vms": [rival]}) as world:
        moved, spare = (vm.uuid for vm in world.source.vms)
        other, member = (host.uuid for host in world.target.hosts)
        migration = await world.start(vm=moved, cutover="hold")
        async with asyncio.timeout(60):
            while (await report_of(world, moved))["phase"] != "holding":
                await asyncio.sleep(0.1)
        await world.control(world.target, "host", host=member, down=True)
        assert (await world.plan(vm=spare))["possible"]
        await asyncio.to_thread(enable, world.target, other, False)
        plan = await world.plan(vm=spare)
        (finding,) = [each for each in plan["findings"] if each["code"] == "NO_HOST_CAN_START"]
        assert "not live" in finding["evidence"]["hosts"][world.target.hosts[1].name_label]
        with pytest.raises(CallFailed) as refused:
            await world.migrate(vm=spare)
        assert refused.value.code == "NO_HOST_CAN_START"
        await asyncio.to_thread(enable, world.target, other, True)
        await world.client.call("warmMigration.cutover", id=migration)
        report = await ended_report(world, moved)
        assert report["phase"] == "done", report["error"]
        assert await asyncio.to_thread(host_of, world.target, report["targetVm"]) == other
