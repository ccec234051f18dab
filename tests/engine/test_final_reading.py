"""What the final pass reads: the halted disks while that is quick, else snapshots of them, which go again."""

from typing import Any

import msgspec
import pytest

from tests.engine.conftest import Scene
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import PassStarted
from xo_warmig.model.passes import DiskPassPlan, PassKind, Way
from xo_warmig.model.vm import PowerState


def slow(scene: Scene) -> None:
    """Every read is taken for a long one."""
    around = scene.engine._around
    around.settings = msgspec.structs.replace(around.settings, direct_read_seconds=0.0)


def final_of(scene: Scene, migration: str) -> list[DiskPassPlan]:
    started = [each.event for each in scene.engine.events(migration) if isinstance(each.event, PassStarted)]
    return next(each.plan.disks for each in reversed(started) if each.plan.kind is PassKind.FINAL)


def test_a_quick_final_pass_reads_the_disks_themselves(play: Any) -> None:
    """A snapshot would only add to the downtime."""

    async def body(scene: Scene) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        assert all(disk.read_vdi == disk.disk for disk in final_of(scene, migration))

    play(body)


@pytest.mark.parametrize("blocks", [False, True], ids=["exports", "by blocks"])
def test_a_long_one_reads_snapshots_that_are_gone_in_the_end(play: Any, blocks: bool) -> None:
    """Taken of the halted disks, and the log is believed up to them as up to the disks (R21)."""

    async def body(scene: Scene) -> None:
        slow(scene)
        scene.world.source.serves_blocks = blocks
        migration = await scene.start()
        await scene.ended_well(migration)
        disks = final_of(scene, migration)
        assert all(disk.read_vdi not in (disk.disk, disk.base) for disk in disks)
        assert {disk.way for disk in disks} == {Way.CBT if blocks else Way.VHD}
        trace = scene.world.trace
        assert trace[trace.index("source.shut_down") :].count("source.snapshot_disk") == 2
        scene.world.assert_quiet()
        scene.world.assert_equal()
        assert scene.world.our_snapshots() == []

    play(body)


def test_a_halted_source_is_read_from_snapshots_too(play: Any) -> None:
    """Its only pass is a full one."""

    async def body(scene: Scene) -> None:
        slow(scene)
        scene.world.vm.power = PowerState.HALTED
        migration = await scene.start()
        await scene.ended_well(migration)
        assert all(disk.read_vdi != disk.disk for disk in final_of(scene, migration))
        scene.world.assert_equal()
        assert scene.world.our_snapshots() == []

    play(body)


def test_after_a_roll_back_only_the_bases_stay(play: Any) -> None:
    """R6: what the final pass read is nobody's base."""

    async def body(scene: Scene) -> None:
        slow(scene)
        scene.world.always["target.apply_volatile_state"] = scene.world.refusal("SR_BACKEND_FAILURE_44")
        migration = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert scene.world.vm.power is PowerState.RUNNING
        assert {each.uuid for each in scene.world.our_snapshots()} == {
            str(disk.base) for disk in final_of(scene, migration)
        }

    play(body)


def test_where_no_snapshot_can_be_taken_the_disks_are_read_and_it_is_told(play: Any) -> None:
    """The VM is down already."""

    async def body(scene: Scene) -> None:
        slow(scene)

        def refuse() -> None:
            scene.world.always["source.snapshot_disk"] = scene.world.refusal("SR_BACKEND_FAILURE_44")

        scene.world.fail("source.shut_down", after=True, hook=refuse)
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "READ_DIRECTLY" in scene.codes(migration)
        assert all(disk.read_vdi == disk.disk for disk in final_of(scene, migration))
        scene.world.assert_equal()

    play(body)
