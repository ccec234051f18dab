"""A migration that is held to a rate, on the wire: while the source runs it keeps to it, in the downtime it does not."""

from collections.abc import Callable
from typing import Any

from tests.scenarios.test_migration import ended, hashes
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
        plan = await world.client.call(
            "warmMigration.plan",
            vm=world.vm,
            sr=world.sr,
            startDestinationVm=False,
            deleteSourceVm=False,
            maxRate=RATE,
        )
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
