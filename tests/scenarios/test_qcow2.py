"""Disks that 8.3 keeps as qcow2 and that a VHD could hold, on the wire: by blocks and by the log, or not while the VM runs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import small_vm, warned
from tests.scenarios.test_blocks import see_clean, transfers
from tests.scenarios.test_migration import hashes
from tests.scenarios.test_refusals import refused
from tests.scenarios.waiting import ended, until_phase
from xo_warmig.model.units import MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

QCOW2: dict[str, Any] = {"image_formats": ["qcow2", "vhd"]}
SERVES = QCOW2 | {"nbd_purpose": "insecure_nbd"}
HOLD_SECONDS = 5  # longer than a pass takes on a busy machine, so that it holds before all passes are taken


def vm(**changes: Any) -> VmConfig:
    """Two disks, one of which is a VHD all the same."""
    disks = [
        DiskConfig(size_bytes=128 * MIB, allocated_bytes=16 * MIB),
        DiskConfig(size_bytes=64 * MIB, allocated_bytes=8 * MIB, image_format="vhd"),
    ]
    return small_vm(disks=disks, guest=GuestConfig(kind="blocks", rate=2 * MIB, span=32 * MIB, disks=[0, 1]), **changes)


async def passes(world: World) -> list[list[str]]:
    """Of each pass of the newest migration, the ways of both disks."""
    report = await world.last_report()
    events = await world.client.call("warmMigration.events", id=report["id"])
    plans = [each["event"]["plan"] for each in events if each["event"]["type"] == "passStarted"]
    return [[disk["way"] for disk in plan["disks"]] for plan in plans]


async def formats_of(world: World, pool: Any) -> set[str]:
    """Of the disks that are on a pool, by what their records say."""
    session = await asyncio.to_thread(XapiSession, pool)
    records = await asyncio.to_thread(session.call, "VDI.get_all_records")
    return {each["sm_config"].get("image-format", "") for each in records.values() if each["managed"]}


async def see_equal(world: World, target: str) -> None:
    assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
    await see_clean(world)


@pytest.mark.parametrize("to", [{}, QCOW2], ids=["to VHD", "to qcow2"])
async def test_every_byte_arrives_by_blocks_and_the_log(worlds: Worlds, to: dict[str, Any]) -> None:
    """The first pass of a qcow2 disk by the head of its own export, of a VHD by a VHD's; what the target makes is its own choice."""
    async with worlds(vms=[vm()], source=SERVES, target=to) as world:
        plan = await world.plan(startDestinationVm=False)
        assert plan["possible"], plan["findings"]
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        first, *deltas = await passes(world)
        assert first == ["nbd", "nbd"]
        assert deltas
        assert all(ways == ["cbt", "cbt"] for ways in deltas)
        assert {each["format"] for each in await transfers(world, "export_raw_vdi")} == {"qcow2", "vhd"}
        assert await formats_of(world, world.target) == ({"qcow2"} if to else {""})
        assert set(warned(report)) <= {"NOT_READ_BACK"}
        await see_equal(world, target)


async def test_without_nbd_a_running_vm_is_refused_and_a_halted_one_goes(worlds: Worlds) -> None:
    """The one with what helps, before anything is touched; the other in one pass, of which the plan tells how it reads."""
    async with worlds(vms=[vm()], source=QCOW2, target=QCOW2) as world:
        error = await refused(world)
        assert error.code == "IMAGE_NEEDS_NBD"
        assert "purpose nbd" in error.data["remedy"]
        assert (await refused(world, transport="vhd")).code == "IMAGE_NEEDS_NBD"
        session = await asyncio.to_thread(XapiSession, world.source)
        ref = await asyncio.to_thread(session.call, "VM.get_by_uuid", world.vm)
        await asyncio.to_thread(session.call, "VM.clean_shutdown", ref)
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert await passes(world) == [["vhd", "vhd"]]
        assert "WHOLE_DISK_READ" in {each["code"] for each in report["warnings"]}
        await see_equal(world, target)


async def test_a_guest_without_tools_is_refused(worlds: Worlds) -> None:
    """With NBD and the log: after a power cut that is not believed (R21)."""
    async with worlds(vms=[vm(tools=False)], source=SERVES, target=QCOW2) as world:
        assert (await refused(world)).code == "IMAGE_NEEDS_TOOLS"


async def test_a_log_that_is_lost_before_the_cutover_costs_a_pass_and_no_downtime(worlds: Worlds) -> None:
    """A qcow2 disk is copied anew while the source runs; then the log is believed again."""
    async with worlds(vms=[vm()], source=SERVES, target=QCOW2) as world:
        asking = asyncio.ensure_future(
            world.migrate(cutover="hold", minPassInterval=HOLD_SECONDS, startDestinationVm=False)
        )
        await until_phase(world, "holding")
        before = len(await passes(world))
        await asyncio.to_thread(lose_logs, world)
        await world.client.call("warmMigration.cutover", id=(await world.last_report())["id"])
        target = await asyncio.wait_for(asking, 60)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert "COPIED_ANEW" in {each["code"] for each in report["warnings"]}
        after = (await passes(world))[before:]
        assert "nbd" in {ways[0] for ways in after}
        assert "nbd" not in {ways[1] for ways in after}, "of a VHD there is a difference"
        assert after[-1] == ["cbt", "cbt"]
        await see_equal(world, target)


def lose_logs(world: World) -> None:
    """As SM does by itself where a log turns out not to be whole."""
    session = XapiSession(world.source)
    for vbd in session.call("VM.get_VBDs", session.call("VM.get_by_uuid", world.vm)):
        if session.call("VBD.get_type", vbd) == "Disk":
            session.call("VDI.disable_cbt", session.call("VBD.get_VDI", vbd))


async def test_a_raw_disk_goes_when_its_vm_is_halted(worlds: Worlds) -> None:
    """Its storage takes no snapshot of it."""
    disks = [DiskConfig(size_bytes=64 * MIB, allocated_bytes=8 * MIB, image_format="raw"), *vm().disks[1:]]
    async with worlds(vms=[small_vm(disks=disks, guest=GuestConfig(kind="none"))], source=SERVES) as world:
        assert (await refused(world)).code == "SNAPSHOT_NOT_SUPPORTED"
        session = await asyncio.to_thread(XapiSession, world.source)
        ref = await asyncio.to_thread(session.call, "VM.get_by_uuid", world.vm)
        await asyncio.to_thread(session.call, "VM.clean_shutdown", ref)
        target = await world.migrate(startDestinationVm=False)
        assert (await ended(world))["phase"] == "done"
        assert await passes(world) == [["nbd", "nbd"]]
        await see_equal(world, target)
