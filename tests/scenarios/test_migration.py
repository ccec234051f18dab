"""Whole migrations over the websocket call, on the wire: what arrives, what is left, what the caller sees meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.scenarios.waiting import ended
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
MOST_PSS_KIB = 250 * 1024


async def hashes(world: World, pool: Any, vm: str) -> list[str]:
    """sha256 of the VM's disks, in the order of their devices."""
    state = await world.state(pool, hash="raw")
    (found,) = [each for each in state["vms"] if each["uuid"] == vm]
    disks = sorted((v for v in found["vbds"] if v["type"] == "Disk"), key=lambda vbd: int(vbd["userdevice"]))
    by_uuid = {vdi["uuid"]: vdi["hash"] for vdi in state["vdis"] if "hash" in vdi}
    return [by_uuid[disk["vdi"]] for disk in disks]


async def test_every_byte_arrives_and_nothing_of_ours_is_left(worlds: Worlds) -> None:
    """Without a start both sides are halted: the disks are equal, the source blocked, the target free to start."""
    async with worlds() as world:
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done"
        assert [each["kind"] for each in report["passes"]][:2] == ["full", "delta"]
        assert report["passes"][-1]["kind"] == "final"
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
        source, copy = await world.vm_of(world.source, world.vm), await world.vm_of(world.target, target)
        assert (source["power_state"], copy["power_state"]) == ("Halted", "Halted")
        assert {"start", "start_on"} <= set(source["blocked_operations"])
        assert copy["blocked_operations"] == {}
        for pool in (world.source, world.target):
            state = await world.settled(pool)
            assert (state["snapshots"], state["tasks"], state["dom0_vbds"]) == ([], [], [])


async def test_the_source_is_deleted_when_asked(worlds: Worlds) -> None:
    """With its disks, after the target was seen to boot."""
    async with worlds() as world:
        target = await world.migrate(deleteSourceVm=True)
        assert (await ended(world))["phase"] == "done"
        state = await world.state(world.source)
        assert [vm for vm in state["vms"] if vm["uuid"] == world.vm] == []
        assert [vdi for vdi in state["vdis"] if vdi["managed"] and vdi["name_label"].startswith("web-1")] == []
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"


async def test_a_halted_vm_takes_one_pass(worlds: Worlds) -> None:
    """Nothing writes, so there is nothing to follow."""
    vm = VmConfig(
        name_label="cold", power_state="Halted", disks=[DiskConfig(size_bytes=64 * MIB, allocated_bytes=8 * MIB)]
    )
    async with worlds(vms=[vm]) as world:
        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert [each["kind"] for each in report["passes"]] == ["final"]
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)


async def test_a_vm_without_disks_moves_too(worlds: Worlds) -> None:
    """It boots from the network."""
    async with worlds(vms=[VmConfig(name_label="diskless", disks=[])]) as world:
        target = await world.migrate()
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"


async def test_one_task_object_tells_the_progress(worlds: Worlds) -> None:
    """XO's ``all``: a task whose progress rises to 1; and our own notification with the report."""
    async with worlds() as world:
        seen = world.client.notifications()
        await world.migrate()
        await ended(world)
        tasks: list[dict[str, Any]] = []
        reports: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            async for note in seen:
                if note.method == "warmMigration":
                    reports.append(note.params["report"])
                elif note.params["type"] == "enter":
                    tasks += [item for item in note.params["items"].values() if item["type"] == "task"]
                if tasks and tasks[-1]["status"] == "success":
                    break
        assert len({task["id"] for task in tasks}) == 1
        progress = [task["progress"] for task in tasks]
        assert progress == sorted(progress)
        assert progress[-1] == 1
        assert {"preparing", "copying"} <= {report["phase"] for report in reports}


async def test_pools_with_self_signed_certificates(worlds: Worlds) -> None:
    """Both transfers travel over TLS, the certificates pinned at the first connection."""
    async with worlds(source={"https": True}, target={"https": True}) as world:
        target = await world.migrate(startDestinationVm=False)
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)


def pss_kib(pid: int) -> int:
    """The memory of a process, its share of what it shares, in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss in smaps_rollup")


async def test_large_disks_and_a_busy_guest_converge_in_little_memory(worlds: Worlds) -> None:
    """Several deltas, each smaller, down to a tight budget; the downtime told by parts; memory that the disks do not change."""
    disk = DiskConfig(size_bytes=20 * GIB, allocated_bytes=128 * MIB)
    guest = GuestConfig(kind="blocks", rate=20 * MIB, cluster=MIB, span=128 * MIB, disks=[0, 1])
    vm = VmConfig(name_label="db", disks=[disk, disk], guest=guest)
    async with worlds(vms=[vm], source={"bandwidth": 100 * MIB}, apart=True) as world:
        most = 0
        migration = asyncio.ensure_future(world.migrate(targetDowntime=0.2))
        while not migration.done():
            most = max(most, pss_kib(world.server_pid))
            await asyncio.sleep(0.1)
        await migration
        report = await ended(world)
        deltas = [each for each in report["passes"] if each["kind"] == "delta"]
        assert len(deltas) >= 2
        assert deltas[-1]["bytes"] < deltas[0]["bytes"]
        assert {"shutdown", "transfer", "start"} <= {part["name"] for part in report["downtime"]["parts"]}
        assert 0 < most < MOST_PSS_KIB, "a copy of two disks holds a few buffers, not disks"
