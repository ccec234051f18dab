"""A VM with many obstacles on its way: the plan tells them all, changes nothing, and nobody can start what an error stands against."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import XenAPI
from click.testing import CliRunner

from tests.scenarios.conftest import small_vm
from xo_warmig.cli import main
from xo_warmig.client import CallFailed
from xo_warmig.model.finding_codes import CODES
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.site import DiskConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
SEED = {"mac_seed": "8ab5b3f0-0000-4000-8000-6d4c8a1e77f2"}
ERRORS = {"OPERATION_BLOCKED", "UEFI_NOT_SUPPORTED", "VTPM_NOT_SUPPORTED", "NO_HOST_CAN_START"}
WARNINGS = {"OPERATION_BLOCKED_BY_USER", "OLDER_RELEASE", "CD_STAYS", "PCI_STAYS", "MAC_IN_USE"}
NOTES = {"AFFINITY_STAYS", "DISK_MARKED_FOR_BACKUPS", "DISK_READ_ONLY", "SNAPSHOTS_STAY"}


def hindered_vm() -> VmConfig:
    """Booting by UEFI with a vTPM, held by its owner, larger than the target's host."""
    return small_vm(
        firmware="uefi",
        secure_boot=True,
        vtpm=True,
        memory_bytes=8 * GIB,
        other_config=SEED | {"pci": "0/0000:04:00.0"},
        blocked_operations={"clean_shutdown": "the owner's", "migrate_send": "the owner's"},
        disks=[
            DiskConfig(size_bytes=256 * MIB, allocated_bytes=8 * MIB, name_label="[NOBAK] swap"),
            DiskConfig(size_bytes=64 * MIB, mode="RO"),
        ],
    )


def hinder(pool: Any, vm: str) -> None:
    """What has to be done to it once it is there: a medium in its drive, a home host, a snapshot."""
    with XenAPI.Session(pool.url) as session:
        session.xenapi.login_with_password(pool.username, pool.password, "1.0", "tests")
        xapi = session.xenapi
        ref = xapi.VM.get_by_uuid(vm)
        (iso_sr,) = [sr for sr, record in xapi.SR.get_all_records().items() if record["content_type"] == "iso"]
        iso = {"SR": iso_sr, "virtual_size": str(MIB), "type": "user", "sharable": False, "read_only": True}
        medium = xapi.VDI.create({**iso, "other_config": {}, "name_label": "tools.iso"})
        (drive,) = [vbd for vbd in xapi.VM.get_VBDs(ref) if xapi.VBD.get_type(vbd) == "CD"]
        xapi.VBD.insert(drive, medium)
        xapi.VM.set_affinity(ref, xapi.host.get_all()[0])
        xapi.VM.snapshot(ref, "before")
        xapi.session.logout()


async def changes(world: World) -> list[list[str]]:
    return [await world.changes(pool) for pool in (world.source, world.target)]


async def planned(world: World) -> tuple[dict[str, Any], dict[str, str]]:
    """The plan, and the severities of its findings by code."""
    report = await world.plan()
    return report, {finding["code"]: finding["severity"] for finding in report["findings"]}


async def test_all_obstacles_are_told_and_nothing_is_changed(worlds: Worlds) -> None:
    """To an old release; the pools' traces have no change; neither call nor command starts it."""
    rival = VmConfig(name_label="rival", other_config=SEED, disks=[DiskConfig(size_bytes=64 * MIB)])
    async with worlds(
        vms=[hindered_vm()], target={"release": "7.6", "vms": [rival], "host_memory_bytes": 6 * GIB}
    ) as world:
        await asyncio.to_thread(hinder, world.source, world.vm)
        before = await changes(world)
        report, found = await planned(world)
        assert not report["possible"]
        for severity, codes in (("error", ERRORS), ("warning", WARNINGS), ("info", NOTES)):
            assert {code for code, each in found.items() if each == severity} >= codes, (severity, found)
        assert found == {code: str(CODES[code].severity) for code in found}
        assert all(finding["object"] and finding["message"] for finding in report["findings"])
        await nobody_starts_it(world)
        assert await changes(world) == before
        assert await world.client.call("warmMigration.list") == []


async def nobody_starts_it(world: World) -> None:
    for method in ("vm.warmMigration", "warmMigration.start"):
        for more in ({}, {"force": True}):
            with pytest.raises(CallFailed) as error:
                await world.client.call(method, **world.asked(**more))
            assert error.value.code in ERRORS
    token = await world.client.call("token.create")
    environment = {"XO_WARMIG_URL": world.client.url, "XO_WARMIG_TOKEN": token}
    for command in ("migrate", "plan"):
        arguments = [command, world.vm, world.sr]
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)
        assert result.exit_code != 0, result.output
        assert "OPERATION_BLOCKED" in result.output, result.output


@pytest.mark.parametrize("release", ["6.5", "7.1", "8.0", "8.2", "8.3"])
async def test_a_plain_vm_may_go_to_any_release(worlds: Worlds, release: str) -> None:
    """What older ones do not tell is no obstacle."""
    async with worlds(target={"release": release}) as world:
        report, found = await planned(world)
        assert report["possible"], report["findings"]
        assert ("OLDER_RELEASE" in found) is (release != "8.3")
        assert set(found) <= {"OLDER_RELEASE", "SAMPLE_OF_EXPORT_HEAD", "NO_NBD", "POOL_IN_CLEAR"}


async def test_a_pool_without_room_for_it(worlds: Worlds) -> None:
    """Its only host has less memory free than the VM needs: told, and left to the look before the cutover."""
    rival = VmConfig(name_label="rival", memory_bytes=5 * GIB, disks=[])
    async with worlds(
        vms=[small_vm(memory_bytes=2 * GIB)], target={"host_memory_bytes": 9 * GIB, "vms": [rival]}
    ) as world:
        report, found = await planned(world)
        assert report["possible"]
        assert found["NO_HOST_HAS_MEMORY"] == "warning"
