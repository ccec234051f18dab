"""Things that go wrong in the middle: the source keeps running, the error is clear, little is left, and a retry works."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.scenarios.waiting import copied, until_phase
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

SLOW = {"bandwidth": 24 * MIB}


def larger_vm() -> VmConfig:
    """Enough to be in the middle of a pass for a second."""
    return VmConfig(
        name_label="web-1",
        disks=[DiskConfig(size_bytes=512 * MIB, allocated_bytes=48 * MIB)],
        guest=GuestConfig(kind="blocks", rate=MIB, span=32 * MIB),
    )


async def source_runs_unblocked(world: World) -> None:
    vm = await world.vm_of(world.source, world.vm)
    assert vm["power_state"] == "Running"
    assert vm["blocked_operations"] == {}


async def source_is_as_it_was(world: World) -> None:
    """It runs, nothing of ours blocks it, no disk of it is attached to dom0."""
    await source_runs_unblocked(world)
    assert (await world.state(world.source))["dom0_vbds"] == []


async def failure_of(migration: Awaitable[str]) -> CallFailed:
    with pytest.raises(CallFailed) as error:
        await migration
    return error.value


async def test_the_destination_dies_in_the_middle_of_a_pass(worlds: Worlds) -> None:
    """Its pool is killed: the source never notices, and the same call ends well once it is back, without a second target."""
    async with worlds(vms=[larger_vm()], source=SLOW) as world:
        migration = asyncio.ensure_future(world.migrate())
        await copied(world)
        await asyncio.to_thread(world.target.kill)
        await asyncio.sleep(2)
        assert not migration.done()
        assert (await world.last_report())["phase"] == "copying"
        await source_runs_unblocked(world)

        await asyncio.to_thread(world.target.restart)
        async with asyncio.timeout(90):
            target = await migration
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Halted"
        targets = [vm for vm in (await world.state(world.target))["vms"] if vm["name_label"] == "web-1"]
        assert len(targets) == 1
        assert len(await world.client.call("warmMigration.list")) == 1
        await nothing_of_ours_is_left(world)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "fail", "match": "import_raw_vdi", "at": MIB},
        {"kind": "cut", "match": "import_raw_vdi", "at": 3 * MIB},
    ],
    ids=["fails", "cut"],
)
async def test_an_import_breaks_once(worlds: Worlds, fault: dict[str, Any]) -> None:
    """The pass goes on by itself, and that is told (R12, R22)."""
    async with worlds() as world:
        await world.control(world.target, "faults", **fault)
        target = await world.migrate()
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        await nothing_of_ours_is_left(world)
        report = await world.last_report()
        assert report["passes"][0]["verdict"] == "complete"
        assert any(disk["notes"] for disk in report["passes"][0]["disks"])


async def test_storage_that_has_no_room(worlds: Worlds) -> None:
    """That does not pass by itself: the full pass fails, the source is as it was, and the second try needs no clean-up by hand."""
    async with worlds() as world:
        await world.control(world.target, "faults", kind="full", match="import_raw_vdi", at=8 * MIB, times=1000)
        error = await failure_of(world.migrate())
        assert error.rpc_code in (-32000, 21)
        await source_is_as_it_was(world)
        report = await world.last_report()
        assert report["phase"] == "failed"
        assert report["passes"][0]["verdict"] in ("failed", "partial")
        await world.control(world.target, "faults", clear=True)
        target = await world.migrate()
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        await nothing_of_ours_is_left(world)


async def nothing_of_ours_is_left(world: World) -> None:
    """No snapshot, task or dom0 VBD on either side, once the clean-up is through."""
    await until_phase(world, "done")
    for pool in (world.source, world.target):
        state = await world.settled(pool)
        assert state["snapshots"] == []
        assert [vdi for vdi in state["vdis"] if vdi["is_a_snapshot"]] == []
        assert state["tasks"] == []
        assert state["dom0_vbds"] == []


@pytest.mark.parametrize("match", ["export_raw_vdi", "import_raw_vdi"])
async def test_the_final_pass_breaks(worlds: Worlds, match: str) -> None:
    """It is sent anew as often as that may help; then the source, halted by now, runs again, and the retry begins with a delta."""
    async with worlds() as world:
        migration = asyncio.ensure_future(world.migrate(cutover="hold", targetDowntime=300))
        report = await until_phase(world, "holding")
        pool = world.source if match == "export_raw_vdi" else world.target
        await world.control(pool, "faults", kind="fail", match=match, at=0, times=10_000)
        await world.client.call("warmMigration.cutover", id=report["id"])
        error = await failure_of(migration)
        assert error.code, error
        report = await world.last_report()
        assert [each["kind"] for each in report["passes"][-3:]] == ["final"] * 3
        await world.control(pool, "faults", clear=True)
        await source_is_as_it_was(world)
        await world.migrate()
        report = await world.last_report()
        assert report["passes"][0]["kind"] == "delta", "the first pass of the retry goes on from the base that was kept"
        await nothing_of_ours_is_left(world)


async def test_a_guest_that_will_not_shut_down_keeps_running(worlds: Worlds) -> None:
    """Its shutdown times out; it was never forced, since it has tools (R7)."""
    guest = GuestConfig(kind="blocks", rate=MIB, span=16 * MIB, ignores_shutdown=True)
    vm = VmConfig(name_label="stubborn", disks=[DiskConfig(size_bytes=128 * MIB)], guest=guest)
    async with worlds(vms=[vm]) as world:
        error = await failure_of(world.migrate(shutdown={"timeout": 1}))
        assert error.code in ("SHUTDOWN_TIMEOUT", "SHUTDOWN_REFUSED")
        await source_is_as_it_was(world)


async def test_the_target_cannot_start(worlds: Worlds) -> None:
    """The start is refused and the target never held its disks: the source runs again."""
    async with worlds() as world:
        error = ["NO_HOSTS_AVAILABLE"]
        for match in ("VM.start", "VM.start_on"):
            await world.control(world.target, "faults", kind="fail", match=match, times=10, error=error)
        failure = await failure_of(world.migrate())
        assert failure.rpc_code == 7
        await source_is_as_it_was(world)


async def test_a_cancel_in_the_middle_of_a_pass(worlds: Worlds) -> None:
    """It returns when every connection is closed and every disk is free (R10)."""
    async with worlds(vms=[larger_vm()], source=SLOW) as world:
        migration = asyncio.ensure_future(world.migrate(onFailure="drop"))
        report = await copied(world)
        await world.client.call("warmMigration.cancel", id=report["id"])
        await source_is_as_it_was(world)
        assert (await world.state(world.target))["dom0_vbds"] == []
        error = await failure_of(migration)
        assert error.code == "CANCELLED"
        assert (await world.last_report())["phase"] == "cancelled"
        assert [vm for vm in (await world.state(world.target))["vms"] if vm["name_label"] == "web-1"] == []
        assert (await world.state(world.source))["snapshots"] == []


async def test_a_vm_that_halts_by_itself_is_left_alone(worlds: Worlds) -> None:
    """Nobody asked for it, so the target is not started, and the source is not either (R7)."""
    async with worlds(vms=[larger_vm()], source=SLOW) as world:
        migration = asyncio.ensure_future(world.migrate())
        await copied(world)
        await world.control(world.source, "guest", vm=world.vm, halt=True)
        await failure_of(migration)
        source = await world.vm_of(world.source, world.vm)
        assert source["power_state"] == "Halted"
        assert source["blocked_operations"] == {}
        targets = [vm for vm in (await world.state(world.target))["vms"] if vm["name_label"] == "web-1"]
        assert all(vm["power_state"] == "Halted" for vm in targets)
