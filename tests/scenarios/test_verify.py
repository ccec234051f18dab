"""Reading back, on the wire: a byte that changes in flight is found, and the migration does not cut over."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import tiny_vm
from tests.scenarios.conftest import warned
from tests.scenarios.test_blocks import see_clean
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended, until_phase
from xo_warmig.client import CallFailed
from xo_warmig.model.units import KIB, MIB

World = Any
Worlds = Callable[..., Any]
IN_DATA = 12 + 100_000  # behind the first chunk's header

BY_EXPORT: dict[str, Any] = {}
BY_BLOCKS: dict[str, Any] = {"nbd_purpose": "insecure_nbd"}
both = pytest.mark.parametrize("target", [BY_EXPORT, BY_BLOCKS], ids=["from an export", "over NBD"])


async def see_given_back(world: World) -> None:
    """The source runs unblocked, the target was never started, and nobody holds a disk."""
    source = await world.vm_of(world.source, world.vm)
    assert (source["power_state"], source["blocked_operations"]) == ("Running", {})
    state = await world.settled(world.target)
    assert all(vm["power_state"] == "Halted" for vm in state["vms"])
    assert (state["tasks"], state["dom0_vbds"]) == ([], [])


@both
async def test_a_byte_flipped_in_flight_is_found(worlds: Worlds, target: dict[str, Any]) -> None:
    """With its disk, its place and both hashes; the source was not asked to stop, and another try sends it again."""
    async with worlds(target=target) as world:
        await world.control(world.target, "faults", match="import_raw_vdi", kind="corrupt", at=IN_DATA)
        with pytest.raises(CallFailed) as failed:
            await world.migrate(verify="full", startDestinationVm=False)
        assert failed.value.code == "READ_BACK_MISMATCH"
        report = await ended(world)
        evidence = report["error"]["evidence"]
        assert evidence["disk"] in {each["disk"] for each in report["passes"][0]["disks"]}
        assert (evidence["offset"] % (64 * KIB), evidence["length"]) == (0, 64 * KIB)
        assert evidence["expected"] != evidence["found"]
        assert [each["verdict"] for each in report["passes"]] != ["complete"]
        assert "VM.clean_shutdown" not in await world.changes(world.source)
        await see_given_back(world)
        copy = await world.migrate(verify="full", startDestinationVm=False)
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, copy)
        await see_clean(world)


async def test_a_byte_flipped_in_the_downtime_is_found(worlds: Worlds) -> None:
    """The target is not started, and the source runs on."""
    async with worlds(vms=[tiny_vm("web-1")], target=BY_BLOCKS) as world:
        await world.control(world.source, "guest", vm=world.vm, rate=MIB)
        asking = asyncio.ensure_future(world.migrate(verify="full", cutover="hold"))
        held = await until_phase(world, "holding")
        await world.control(world.target, "faults", match="import_raw_vdi", kind="corrupt", at=IN_DATA)
        await world.client.call("warmMigration.cutover", id=held["id"])
        with pytest.raises(CallFailed) as failed:
            await asking
        assert failed.value.code == "READ_BACK_MISMATCH"
        report = await ended(world)
        assert "final" in [each["kind"] for each in report["passes"]]
        await see_given_back(world)


@pytest.mark.parametrize(
    ("verify", "target"), [("sample", BY_EXPORT), ("sample", BY_BLOCKS), ("full", BY_BLOCKS)],
    ids=["sample of an export", "sample over NBD", "full"],
)  # fmt: skip
async def test_a_good_migration_passes(worlds: Worlds, verify: str, target: dict[str, Any]) -> None:
    """What was read back is in its report; nothing of a sample in the downtime."""
    full = verify == "full"
    async with worlds(vms=[tiny_vm("web-1")], target=target) as world:
        await world.control(world.source, "guest", vm=world.vm, rate=MIB)
        copy = await world.migrate(startDestinationVm=full, verify=verify)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        if full:
            assert "readBack" in {part["name"] for part in report["downtime"]["parts"]}
        else:
            assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, copy)
        await see_clean(world)
        first, *_, final = report["passes"]
        assert first["readBackBlocks"] > 0
        assert (final["readBackBlocks"] > 0) is full
        assert warned(report) == []
        way = "nbd" if target is BY_BLOCKS else "vhd"
        assert {each["readBack"]["way"] for each in first["disks"] if each["readBack"]} == {way}
