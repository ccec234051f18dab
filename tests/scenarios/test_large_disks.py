"""Disks that no VHD can hold, on the wire: sparse, moved in seconds, and refused where only VHD exports could read them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.conftest import warned
from tests.scenarios.test_blocks import see_clean, transfers
from tests.scenarios.test_refusals import refused
from tests.scenarios.waiting import ended
from xo_warmig.model.units import GIB, KIB, MIB, TIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

SIZE = 6 * TIB
PLACES = [0, 2 * TIB - 64 * KIB, 2 * TIB, 4 * TIB, SIZE - 64 * KIB]
BOTH: dict[str, Any] = {"image_formats": ["vhd", "qcow2"], "sr_size_bytes": 20 * TIB}
SERVES = BOTH | {"nbd_purpose": "insecure_nbd"}


def large_vm() -> VmConfig:
    """One disk of 6 TiB with data in five places, and a guest that writes all over it."""
    disks = [DiskConfig(size_bytes=SIZE, data_at=PLACES)]
    return VmConfig(name_label="archive", disks=disks, guest=GuestConfig(kind="blocks", rate=MIB))


async def sparse_hashes(world: World, pool: Any, vm: str) -> list[str]:
    """Of the VM's disks, by what is not zero in them."""
    state = await world.state(pool, hash="1")
    (found,) = [each for each in state["vms"] if each["uuid"] == vm]
    by_uuid = {vdi["uuid"]: vdi["hash"] for vdi in state["vdis"] if "hash" in vdi}
    return [by_uuid[vbd["vdi"]] for vbd in found["vbds"] if vbd["type"] == "Disk"]


async def test_a_disk_of_6_tib_arrives(worlds: Worlds) -> None:
    """By the head of a qcow2 export, then by what was tracked; the guest writes in all its places meanwhile."""
    async with worlds(vms=[large_vm()], source=SERVES, target=SERVES) as world:
        plan = await world.plan(startDestinationVm=False)
        assert plan["possible"], plan["findings"]
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert await sparse_hashes(world, world.source, world.vm) == await sparse_hashes(world, world.target, target)
        events = await world.client.call("warmMigration.events", id=report["id"])
        ways = [each["event"]["plan"]["disks"][0]["way"] for each in events if each["event"]["type"] == "passStarted"]
        assert ways[0] == "nbd"
        assert set(ways[1:]) == {"cbt"}
        assert len(PLACES) * 64 * KIB <= report["passes"][0]["bytes"] < GIB
        assert warned(report) == []
        (head,) = await transfers(world, "export_raw_vdi")
        assert head["format"] == "qcow2"
        await see_clean(world)
        made = [
            vdi for vdi in (await world.state(world.target))["vdis"] if vdi["managed"] and vdi["virtual_size"] == SIZE
        ]
        assert len(made) == 1


async def test_where_only_vhd_export_exists_the_plan_refuses(worlds: Worlds) -> None:
    """With the reason and what to do; nothing was touched."""
    async with worlds(vms=[large_vm()], source=BOTH, target=BOTH) as world:
        error = await refused(world)
        assert error.code == "DISK_TOO_LARGE"
        assert "no network of the pool has the purpose nbd" in str(error)
        assert "purpose nbd" in error.data["remedy"]
        plan = await world.plan(startDestinationVm=False)
        assert not plan["possible"]
        assert [each["code"] for each in plan["findings"] if each["severity"] == "error"] == ["DISK_TOO_LARGE"]


async def test_transport_vhd_and_a_target_of_vhds_are_refused(worlds: Worlds) -> None:
    """The one before anything is done, the other by the storage itself, explained; the source runs on."""
    async with worlds(vms=[large_vm()], source=SERVES, target={"sr_size_bytes": 20 * TIB}) as world:
        assert (await refused(world, transport="vhd")).code == "DISK_TOO_LARGE"
        with pytest.raises(Exception, match="SR_BACKEND_FAILURE_79") as error:
            await world.migrate()
        assert "qcow2" in error.value.data["remedy"]  # type: ignore[attr-defined]
        assert (await ended(world))["phase"] == "failed"
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Running"
        await see_clean(world)


async def test_a_sparse_tebibyte_takes_seconds(worlds: Worlds) -> None:
    """Neither the size nor the zeros travel."""
    sparse = DiskConfig(size_bytes=TIB, allocated_bytes=100 * MIB)
    vm = VmConfig(name_label="sparse", disks=[sparse], power_state="Halted")
    room = {"sr_size_bytes": 4 * TIB}
    async with worlds(vms=[vm], source=room, target=room) as world:
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert sum(each["bytes"] for each in report["passes"]) == 100 * MIB
        assert await sparse_hashes(world, world.source, world.vm) == await sparse_hashes(world, world.target, target)
