"""What running migrations were promised of an SR counts against the next one."""

import asyncio
from typing import Any

import msgspec

from tests.engine.conftest import Play
from xo_warmig.engine.promises import promised
from xo_warmig.errors import NotEnoughSpace
from xo_warmig.model.phases import Phase


def allocated(journal: Any) -> int:
    """What the source's disks held when it was planned."""
    return sum(disk.physical_bytes for disk in journal.state.plan.vm.disks)


def test_the_room_of_a_running_migration_is_kept_for_it(play: Play) -> None:
    """On a thin SR what its first pass has yet to write, on a thick one what is not made yet; nothing once it is copied or ended."""

    async def body(scene: Any) -> None:
        world = scene.world
        (sr,) = world.target.srs.values()
        thick = msgspec.structs.replace(sr, thin=False)
        migration = await scene.start()
        journal = scene.engine._journals[migration]
        journals = [journal]

        def left(of: Any) -> int:
            return promised([of], journals)[sr.uuid]

        assert left(sr) == allocated(journal)
        assert left(thick) == sum(vdi.size for vdi in map(world.source.vdis.get, world.vm.vdis))
        while journal.state.phase is not Phase.SYNCING:
            await journal.changed()
        assert left(sr) == 0
        assert left(thick) == 0, "its disks are made whole"
        await scene.ended(migration)
        assert left(sr) == 0

    play(body)


def with_second_vm(world: Any) -> None:
    """Another VM with the disks of the first one, on an SR that has room for one and a half of them."""
    (sr,) = world.target.srs.values()
    needed = sum(disk.physical_bytes for disk in world.source.record(world.vm).disks)
    reserve = sr.physical_size_bytes // 100
    world.target.srs[sr.uuid] = msgspec.structs.replace(sr, free_bytes=reserve + needed * 3 // 2)
    other = world.source.vms.setdefault("vm-2", type(world.vm)("vm-2", world.vm.power))
    other.vdis = list(world.vm.vdis)


def test_a_plan_tells_of_what_was_promised(play: Play) -> None:
    """A VM that would fit an empty SR does not fit beside a migration that is under way."""

    async def body(scene: Any) -> None:
        with_second_vm(scene.world)
        request = msgspec.structs.replace(scene.request, vm="vm-2")
        assert (await scene.engine.plan(request)).possible
        running = scene.engine._journals[await scene.start()]
        (finding,) = [each for each in (await scene.engine.plan(request)).findings if each.code == "NO_SPACE"]
        assert finding.evidence["promised"] == allocated(running)

    play(body)


def test_two_that_are_started_at_once_are_not_promised_the_same_room(play: Play) -> None:
    """Both were looked at before either was begun, as a host takes its time to say how fast its VM writes: one of them is refused."""

    async def body(scene: Any) -> None:
        with_second_vm(scene.world)
        scene.world.source.tells_rate_after = 3.0
        begun = await asyncio.gather(scene.start(), scene.start(vm="vm-2"), return_exceptions=True)
        (refused,) = [each for each in begun if not isinstance(each, str)]
        assert isinstance(refused, NotEnoughSpace)
        (migration,) = [each for each in begun if isinstance(each, str)]
        assert refused.evidence["promised"] == allocated(scene.engine._journals[migration])

    play(body)
