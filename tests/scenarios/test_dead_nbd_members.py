"""Hosts that lose their power while they serve a disk over NBD: others read on, or the copy waits for it."""

from typing import Any

from tests.scenarios.conftest import World, Worlds, small_vm
from tests.scenarios.test_members import ON_THE_SECOND_HOST
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import copied, ended, until
from xo_warmig.model.units import MIB
from xo_warmig.simulator.site import DiskConfig, GuestConfig

SERVES = {"hosts": 2, "bandwidth": 24 * MIB, "nbd_purpose": "insecure_nbd"}


async def begun(world: World) -> str:
    """A migration of the halted VM of which some was read."""
    migration = await world.start(startDestinationVm=False)
    await copied(world, 8 * MIB)
    return migration


def vm(allocated_mib: int, **disk: Any) -> Any:
    disks = [DiskConfig(size_bytes=96 * MIB, allocated_bytes=allocated_mib * MIB, **disk)]
    return small_vm(disks=disks, guest=GuestConfig(kind="none"), power_state="Halted", memory_bytes=256 * MIB)


async def see_moved(world: World) -> None:
    report = await ended(world)
    assert report["phase"] == "done", report["error"]
    assert report["passes"][0]["disks"][0]["way"] == "nbd"
    assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, report["targetVm"])


async def test_others_that_have_the_storage_read_on(worlds: Worlds) -> None:
    """The dead one's control domain has the disk for as long as it is down, which keeps nobody from ending."""
    async with worlds([vm(72)], source=SERVES | {"sr_type": "nfs"}) as world:
        await begun(world)
        member = world.source.hosts[1].uuid
        assert len((await world.state(world.source))["dom0_vbds"]) > 1
        await world.control(world.source, "host", host=member, down=True)
        await see_moved(world)
        await world.control(world.source, "host", host=member, up=True)
        state = await world.settled(world.source)
        assert (state["dom0_vbds"], state["tasks"]) == ([], [])


async def test_the_only_one_that_has_the_storage_is_waited_for(worlds: Worlds) -> None:
    """Its master says that it lives, as it does for ten minutes; the report says what is waited for."""
    async with worlds([vm(40, sr=ON_THE_SECOND_HOST)], source=SERVES) as world:
        await begun(world)
        member = world.source.hosts[1].uuid
        await world.control(world.source, "host", host=member, down=True, missed=False)
        await until(world, lambda report: bool(report["waitingFor"] == "pool"))
        await world.control(world.source, "host", host=member, up=True)
        await see_moved(world)
        state = await world.settled(world.source)
        assert (state["dom0_vbds"], state["tasks"]) == ([], [])
