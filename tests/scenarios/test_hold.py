"""Holding before the cutover, on the wire: until somebody's word, and until a time."""

import asyncio
import itertools
import time
from datetime import UTC, datetime
from typing import Any

from tests.scenarios.conftest import World, Worlds
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended, until, until_phase
from xo_warmig.model.units import KIB, MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

# What a guest writes in an hour at 80 KiB/s is written in the time held: all of its region several times over.
RATE, SPAN_BYTES = 20 * MIB, 64 * MIB
HELD_SECONDS = 14.0
INTERVAL_SECONDS = 4
TARGET_DOWNTIME = 8.0
# A way of moderate speed, so that what a busy machine adds to it counts for little; the rest about as slow as real pools are.
SOURCE = {"bandwidth": 40 * MIB, "delays": {"guest_shutdown": 0.4, "shutdown": 0.2, "snapshot": 0.2}}
TARGET = {"delays": {"start": 0.43, "attach": 0.2, "detach": 0.2}}


def busy_vm() -> VmConfig:
    """A guest that overwrites the same region over and over, once it is told its rate: on the target nobody tells it."""
    disk = DiskConfig(size_bytes=256 * MIB, allocated_bytes=32 * MIB)
    guest = GuestConfig(kind="blocks", rate=0, cluster=256 * KIB, span=SPAN_BYTES)
    return VmConfig(name_label="db", disks=[disk], guest=guest)


async def begin(world: World, rate: int, **options: Any) -> str:
    """The guest writes, and ``warmMigration.start``; its id."""
    await world.control(world.source, "guest", vm=world.vm, rate=rate)
    return await world.start(**options)


async def see_equal(world: World, report: dict[str, Any]) -> None:
    """The guest writes nothing on the target, so what was copied still stands there."""
    assert report["phase"] == "done", report["error"]
    assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, report["targetVm"])


async def test_a_cutover_on_word_takes_as_long_as_was_shown(worlds: Worlds) -> None:
    """Passes go on at their interval; the downtime is within what was asked for, and near what was shown just before the word."""
    async with worlds(vms=[busy_vm()], source=SOURCE, target=TARGET) as world:
        migration = await begin(
            world, RATE, cutover="hold", minPassInterval=INTERVAL_SECONDS, targetDowntime=TARGET_DOWNTIME
        )
        await until_phase(world, "holding", migration)
        await asyncio.sleep(HELD_SECONDS)
        shown = (await until_phase(world, "holding", migration))["predictedDowntimeSeconds"]
        await world.client.call("warmMigration.cutover", id=migration)
        report = await ended(world)
        await see_equal(world, report)
    starts = [each["started"] for each in report["passes"] if each["kind"] != "final"]
    apart = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(starts) >= 4, "it went on syncing"
    assert min(apart) >= INTERVAL_SECONDS
    measured = report["downtime"]["seconds"]
    print(f"shown {shown:.2f} s, measured {measured:.2f} s after {len(starts)} passes: {report['downtime']['parts']}")
    assert measured <= TARGET_DOWNTIME
    assert abs(shown - measured) <= 0.5 * measured


async def test_a_time_is_kept(worlds: Worlds) -> None:
    """The source is shut down at the time, not before, and at once then: the last pass was over in time."""
    quiet = GuestConfig(kind="blocks", rate=0, span=32 * MIB)
    vm = VmConfig(name_label="web", disks=[DiskConfig(size_bytes=128 * MIB, allocated_bytes=16 * MIB)], guest=quiet)
    async with worlds(vms=[vm]) as world:
        at = datetime.fromtimestamp(time.time() + 12, UTC)
        migration = await begin(world, MIB, cutover=at.isoformat())
        await until_phase(world, "holding", migration)
        report = await until(world, lambda report: report["waitingFor"] == "time", seconds=5)
        assert report["cutoverTime"] == at.timestamp()
        report = await ended(world)
        await see_equal(world, report)
        events = await world.client.call("warmMigration.events", id=migration)
    (asked,) = [each["time"] for each in events if each["event"]["type"] == "shutdownAsked"]
    print(f"asked to shut down {asked - at.timestamp():+.2f} s from the time")
    assert 0 <= asked - at.timestamp() < 10
    last = [each for each in report["passes"] if each["kind"] != "final"][-1]
    assert last["started"] + last["seconds"] <= at.timestamp() + 0.5
