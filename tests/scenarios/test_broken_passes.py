"""Passes that break, and retries after them, through the whole server on the real wire: little is sent twice, nothing is missed."""

import asyncio
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pools import XapiSession, control
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied, done_bytes, ended, until, until_phase
from xo_warmig.engine.settings import Settings
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

PIECE = 64 * KIB
# A guest that writes nothing unless it is told to, so that sums of bytes say something; on the target nobody tells it.
QUIET = GuestConfig(kind="blocks", rate=0, cluster=256 * KIB, span=32 * MIB)
SLOW = {"bandwidth": 24 * MIB}


def vm_with(data_bytes: int) -> VmConfig:
    return VmConfig(
        name_label="db", disks=[DiskConfig(size_bytes=2 * data_bytes, allocated_bytes=data_bytes)], guest=QUIET
    )


async def imported_bytes(world: World) -> int:
    """What all imports took, broken ones included."""
    trace = await world.control(world.target, "trace")
    return sum(each["bytes"] for each in trace["transfers"] if each["name"] == "import_raw_vdi")


async def see_equal(world: World, target: str) -> None:
    """The guest writes nothing on the target, so what was copied still stands there. Nothing is attached."""
    report = await ended(world)
    assert report["phase"] == "done", report["error"]
    assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
    for pool in (world.source, world.target):
        state = await world.state(pool)
        assert state["dom0_vbds"] == []
        snapshots = [vdi for vdi in state["vdis"] if vdi["is_a_snapshot"]]
        assert [vdi for vdi in snapshots if vdi["other_config"].get("xo_warmig:self") == vdi["uuid"]] == []


@pytest.mark.parametrize(("data_bytes", "drop_bytes"), [(1536 * MIB, 0), (512 * MIB, 8 * MIB)], ids=["cut", "dropped"])
async def test_a_full_pass_that_is_cut_at_70_percent_is_gone_on_with(
    worlds: Worlds, data_bytes: int, drop_bytes: int
) -> None:
    """Of 1.5 GiB in a disk of 3 less than a twentieth is sent again; what the pool dropped in the cut is there in the end."""
    async with worlds(vms=[vm_with(data_bytes)]) as world:
        fault = {"kind": "cut", "match": "import_raw_vdi", "at": int(data_bytes * 0.7), "drop_bytes": drop_bytes}
        await world.control(world.target, "faults", **fault)
        target = await world.migrate()
        again = await imported_bytes(world) - data_bytes
        report = await ended(world)
        kinds = [each["kind"] for each in report["passes"]]
        print(f"{kinds}: {again / MIB:.1f} MiB of {data_bytes >> 20} MiB were sent again, {again / data_bytes:.2%}")
        assert {"COPY_INTERRUPTED", "COPY_RESUMED"} <= {warning["code"] for warning in report["warnings"]}
        assert kinds.count("full") == 1
        assert 0 < again < max(0.05 * data_bytes, 96 * MIB)
        await see_equal(world, target)


async def test_the_target_pool_is_killed_in_the_middle_of_the_full_pass(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tasks and sessions are gone, its disk is left attached: the same pass goes on from what is confirmed."""
    slices = Settings(copy_limits=CopyLimits(slice_bytes=64 * MIB, first_wait_seconds=0.2, mark_seconds=0.2))
    monkeypatch.setattr("xo_warmig.engine.engine.Settings", lambda: slices)
    data_bytes = 192 * MIB
    async with worlds(vms=[vm_with(data_bytes)], source={"bandwidth": 64 * MIB}) as world:
        migration = asyncio.ensure_future(world.migrate())
        await copied(world, 96 * MIB)
        confirmed = await imported_bytes(world)  # of the slices that have ended; a killed pool does not tell of others
        await asyncio.to_thread(world.target.kill)
        await asyncio.sleep(1)
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Running"
        await asyncio.to_thread(world.target.restart)
        target = await migration
        report = await ended(world)
        again = await imported_bytes(world) - data_bytes
        print(f"killed with {confirmed / MIB:.0f} MiB confirmed; of those {again / MIB:.1f} MiB were sent again")
        assert [each["kind"] for each in report["passes"]].count("full") == 1
        assert {"COPY_INTERRUPTED", "COPY_RESUMED"} <= {warning["code"] for warning in report["warnings"]}
        assert confirmed >= 64 * MIB
        assert again <= 8 * MIB
        await see_equal(world, target)


async def abort_a_delta(world: World) -> None:
    """A migration is cancelled in the middle of a delta, and what was copied is kept."""
    migration = await world.start(cutover="hold", minPassInterval=1)
    await until_phase(world, "holding")
    await world.control(world.source, "guest", vm=world.vm, write=24 * MIB)
    await until(world, lambda report: done_bytes(report) > 4 * MIB and report["currentPass"]["kind"] == "delta")
    await world.client.call("warmMigration.cancel", id=migration, drop=False)
    report = await ended(world)
    assert report["phase"] == "cancelled"


async def disk_of(world: World) -> str:
    vm = await world.vm_of(world.source, world.vm)
    (disk,) = [vbd["vdi"] for vbd in vm["vbds"] if vbd["type"] == "Disk"]
    return str(disk)


async def image_of(world: World, file: Path) -> bytes:
    await asyncio.to_thread(control, world.source, "image", vdi=await disk_of(world), path=str(file))
    return await asyncio.to_thread(file.read_bytes)


def write_back(pool: Pool, session: XapiSession, disk: str, old: bytes, now: bytes) -> int:
    """The content of before, where it is another one now, as a guest's own writes would bring it back; how much that was."""
    changed = [at for at in range(0, len(now), PIECE) if old[at : at + PIECE] != now[at : at + PIECE]]
    body = b"".join(struct.pack("<QI", at, PIECE) + old[at : at + PIECE] for at in changed) + bytes(12)
    ref = session.call("VDI.get_by_uuid", disk)
    url = f"{pool.url}/import_raw_vdi?session_id={session.reference}&vdi={ref}&format=raw&chunked=1"
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT"), timeout=30) as answer:
        answer.read()  # it is answered before it is written, and ends when it is
        return len(changed) * PIECE


@pytest.mark.parametrize("word", ["old content back", "revert"])
async def test_a_retry_after_an_aborted_delta_misses_nothing(worlds: Worlds, tmp_path: Path, word: str) -> None:
    """What the pass that broke had sent is not the source's content any more: R18, by VHD base.

    Either the guest wrote the old content back meanwhile, or the user reverted the VM to a snapshot of before.
    """
    async with worlds(vms=[vm_with(32 * MIB)], source=SLOW) as world:
        session = XapiSession(world.source)
        vm = session.call("VM.get_by_uuid", world.vm)
        if word == "revert":
            users = session.call("VM.snapshot", vm, "the user's own")
        old = await image_of(world, tmp_path / "old")
        await abort_a_delta(world)
        assert await image_of(world, tmp_path / "changed") != old
        if word == "revert":
            session.call("VM.revert", users)
        else:
            session.call("VM.clean_shutdown", vm)
            now = await image_of(world, tmp_path / "now")
            written = await asyncio.to_thread(write_back, world.source, session, await disk_of(world), old, now)
            assert written >= 8 * MIB
        assert await image_of(world, tmp_path / "back") == old
        if session.call("VM.get_power_state", vm) == "Halted":
            session.call("VM.start", vm, False, False)
        target = await world.migrate()
        report = await ended(world)
        first = report["passes"][0]
        assert first["kind"] == ("full" if word == "revert" else "delta"), "a revert voids the base"
        await see_equal(world, target)


async def test_a_pass_that_keeps_breaking_fails_and_the_retry_begins_with_its_delta(worlds: Worlds) -> None:
    """The engine's own abort: the copy and its base are kept, and the retry brings what was pending."""
    limits = {
        "kind": "fail",
        "match": "import_raw_vdi",
        "at": 2 * MIB,
        "error": ["SR_BACKEND_FAILURE_44", "", "full", ""],
    }
    async with worlds(vms=[vm_with(64 * MIB)], source=SLOW) as world:
        await world.start(cutover="hold", minPassInterval=1)
        await until_phase(world, "holding")
        await world.control(world.target, "faults", **limits)
        await world.control(world.source, "guest", vm=world.vm, write=24 * MIB)
        report = await ended(world)
        assert (report["phase"], report["error"]["code"]) == ("failed", "SR_BACKEND_FAILURE_44")
        await world.control(world.target, "faults", clear=True)
        target = await world.migrate()
        report = await ended(world)
        assert report["passes"][0]["kind"] == "delta"
        await see_equal(world, target)
