"""Hosts that lose their power and stay down for a while: in the full copy, before the start of the target, and while a plan is made."""

import asyncio

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import Worlds, small_vm
from tests.scenarios.test_members import ON_THE_SECOND_HOST
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied, ended, until_phase
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


async def test_a_member_that_has_the_disks_dies_in_the_full_copy_and_comes_back(worlds: Worlds) -> None:
    """The copies wait and go on. A VM that ran there is halted now, which nobody asked for: its migration fails, its copy is kept."""
    vms = [vm_on_the_member(HALTED, "Halted"), vm_on_the_member(RUNNING, "Running")]
    async with worlds(vms, source={"hosts": 2, "bandwidth": 8 * MIB}) as world:
        uuids = {vm.name_label: vm.uuid for vm in world.source.vms}
        member = world.source.hosts[1].uuid
        for vm in uuids.values():
            await world.start(vm=vm, startDestinationVm=False)
        for vm in uuids.values():
            await copied(world, 8 * MIB, vm)
        await world.control(world.source, "host", host=member, down=True, missed=False)
        await asyncio.sleep(DOWN_SECONDS)
        await world.control(world.source, "host", host=member, down=True)
        phases = [(await world.last_report(vm))["phase"] for vm in uuids.values()]
        assert phases == ["finalising", "copying"]  # one pass is all that a halted VM needs
        await world.control(world.source, "host", host=member, up=True)
        reports = {name: await ended(world, vm) for name, vm in uuids.items()}
        assert reports[HALTED]["phase"] == "done", reports[HALTED]["error"]
        assert reports[RUNNING]["phase"] == "failed"
        assert reports[RUNNING]["error"]["code"] == "SOURCE_HALTED_UNASKED"
        assert reports[RUNNING]["keptUntil"] is not None
        assert [each["verdict"] for each in reports[RUNNING]["passes"]] == ["complete"]
        assert await hashes(world, world.source, uuids[HALTED]) == await hashes(
            world, world.target, reports[HALTED]["targetVm"]
        )
        assert (await world.vm_of(world.source, uuids[RUNNING]))["power_state"] == "Halted"
        state = await world.settled(world.source)
        assert (state["dom0_vbds"], state["tasks"]) == ([], [])


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
        await until_phase(world, "holding", moved)
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
        report = await ended(world, moved)
        assert report["phase"] == "done", report["error"]
        assert await asyncio.to_thread(host_of, world.target, report["targetVm"]) == other
