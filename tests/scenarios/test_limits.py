"""Migrations that are held to rates, on the wire: while the source runs they keep to them, in the downtime only where told to."""

from collections.abc import Callable
from typing import Any

from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended
from xo_warmig.model.rates import WrittenRates
from xo_warmig.model.units import KIB, MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]

RATE = 8 * MIB


async def test_the_line_stays_free_and_the_downtime_is_short_all_the_same(worlds: Worlds) -> None:
    """Two disks share the rate. What the guest writes while they are copied so slowly is sent at full speed in the end."""
    guest = GuestConfig(kind="blocks", rate=8 * MIB, cluster=256 * KIB, span=24 * MIB, disks=[0])
    disks = [DiskConfig(size_bytes=64 * MIB, allocated_bytes=24 * MIB), DiskConfig(size_bytes=32 * MIB)]
    vm = VmConfig(name_label="far-away", disks=disks, guest=guest)
    async with worlds(vms=[vm]) as world:
        plan = await world.plan(startDestinationVm=False, maxRate=RATE)
        assert [(each["of"], each["bytesPerSecond"], each["finalPass"]) for each in plan["limits"]] == [
            ("migration", RATE, False)
        ]
        target = await world.migrate(startDestinationVm=False, maxRate=RATE, targetDowntime=0.1, maxPasses=3)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)
    *before, final = report["passes"]
    print([(each["kind"], each["bytes"] / MIB, each["throughputBytesPerSecond"] / MIB) for each in report["passes"]])
    for each in before:
        assert each["throttled"]
        assert each["throughputBytesPerSecond"] <= 1.1 * RATE
    assert final["bytes"] >= 8 * MIB
    assert not final["throttled"]
    assert final["throughputBytesPerSecond"] > 2 * RATE


# Both halves of the day, so that the hour in which the test runs does not matter.
ALL_DAY: dict[str, int | str] = {"00-12": f"{RATE}", "12-24": f"{RATE}"}


async def test_a_pool_s_table_holds_its_copies_and_the_final_pass_where_it_says_so(worlds: Worlds) -> None:
    """By the name of the target's pool, in any case. The plan tells the table, and warns of one that fits no pool."""
    guest = GuestConfig(kind="blocks", rate=4 * MIB, cluster=256 * KIB, span=8 * MIB, disks=[0])
    disks = [DiskConfig(size_bytes=32 * MIB, allocated_bytes=8 * MIB)]
    rates = {
        "AMD-Pool": WrittenRates(default="1GiB", hours=ALL_DAY, throttle_final_pass=True),
        "amd-poll": WrittenRates(default=RATE // 2),
    }
    vms = [VmConfig(name_label="far-away", disks=disks, guest=guest)]
    async with worlds(vms=vms, rates=rates) as world:
        plan = await world.plan(startDestinationVm=False)
        (limit,) = plan["limits"]
        assert (limit["of"], limit["name"], limit["bytesPerSecond"]) == ("targetPool", "amd-pool", RATE)
        assert limit["finalPass"]
        (strange,) = [each for each in plan["findings"] if each["code"] == "LIMIT_WITHOUT_POOL"]
        assert strange["evidence"]["name"] == "amd-poll"
        await world.migrate(startDestinationVm=False, targetDowntime=0.1, maxPasses=3)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
    for each in report["passes"]:
        seconds = max(disk["transferSeconds"] for disk in each["disks"])
        assert each["throttled"]
        assert each["writtenBytes"] <= 1.1 * RATE * seconds, "the target's pool has no limit on what is read elsewhere"
    assert report["passes"][-1]["bytes"] >= 2 * MIB
