"""A whole migration through the engine's own interface, on pools in memory."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from tests.engine.fake_pools import FakePools
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.fold import fold
from xo_warmig.engine.store import MemoryStore
from xo_warmig.model.events import RecordedEvent
from xo_warmig.model.passes import PassKind, Verdict
from xo_warmig.model.phases import Phase, Stage
from xo_warmig.model.vm import PowerState


def test_a_running_vm_moves_with_equal_disks(play: Any) -> None:
    """Full pass, deltas, cutover; the target runs with the same blocks, the source is halted and blocked."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        target = await scene.engine.outcome(migration)
        await scene.ended(migration)
        world, report = scene.world, scene.engine.report(migration)
        assert report.phase is Phase.DONE
        assert report.stage is Stage.FINISH
        assert world.the_target().uuid == target
        assert world.the_target().power is PowerState.RUNNING
        assert world.vm.power is PowerState.HALTED
        world.assert_equal()
        world.assert_quiet()
        kinds = [each.kind for each in report.passes]
        assert kinds[0] is PassKind.FULL
        assert kinds[-1] is PassKind.FINAL
        assert PassKind.DELTA in kinds
        assert all(each.verdict is Verdict.COMPLETE for each in report.passes)
        assert report.progress == 1.0
        assert world.our_snapshots() == []

    play(body)


def test_what_changed_of_the_vm_itself_is_on_the_target_before_it_starts(play: Any) -> None:
    """Read from the halted source."""

    async def body(scene: Any) -> None:
        world = scene.world
        await scene.migrate()
        assert world.the_target().volatile.time_offset == "42"
        order = ["source.shut_down", "source.read_again", "target.apply_volatile_state", "target.start_vm"]
        assert [call for call in world.trace if call in order] == order

    play(body)


def test_a_halted_vm_moves_in_one_full_pass(play: Any) -> None:
    """No snapshot, no shutdown, and no zeros sent to fresh disks."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.vm.power = PowerState.HALTED
        migration = await scene.start()
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        assert [each.kind for each in report.passes] == [PassKind.FINAL]
        assert [skip for _, _, skip in world.copies] == [True, True]
        assert not {"source.shut_down", "source.snapshot_disk"} & set(world.trace)
        assert "start" in world.vm.blocked
        world.assert_equal()

    play(body)


def test_a_halted_vm_whose_migration_fails_is_left_halted(play: Any) -> None:
    """As it was found, unblocked."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.vm.power = PowerState.HALTED
        world.fail("target.apply_volatile_state", error=world.refusal())
        migration = await scene.start()
        await scene.ended(migration)
        assert scene.engine.report(migration).phase is Phase.FAILED
        assert world.vm.power is PowerState.HALTED
        assert world.vm.blocked == {}
        assert "source.start_vm" not in world.trace

    play(body)


def test_a_vm_without_disks_moves(play: Any) -> None:
    """There is nothing to copy, and all else is as ever."""

    async def body(scene: Any) -> None:
        scene.world.vm.vdis.clear()
        scene.world.source.vdis.clear()
        migration = await scene.start()
        await scene.ended_well(migration)
        assert scene.world.the_target().power is PowerState.RUNNING
        assert all(each.verdict is Verdict.COMPLETE for each in scene.engine.report(migration).passes)

    play(body)


def test_a_busy_vm_gets_passes_until_they_gain_no_more(play: Any) -> None:
    """A budget that cannot be reached, and a guest that writes all the time."""

    async def body(scene: Any) -> None:
        scene.world.dirty_per_call = 20
        migration = await scene.start(target_downtime=0.1)
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        assert [each.kind for each in report.passes].count(PassKind.DELTA) >= 2
        assert len(report.passes) <= 10
        assert "DOWNTIME_ABOVE_TARGET" in scene.codes(migration)
        scene.world.assert_equal()

    play(body)


def test_passes_keep_the_interval_that_was_asked_for(play: Any) -> None:
    """Between the beginnings of two passes."""

    async def body(scene: Any) -> None:
        migration = await scene.start(target_downtime=0.1, min_pass_interval=60.0)
        await scene.ended_well(migration)
        starts = [each.started for each in scene.engine.report(migration).passes if each.kind is not PassKind.FINAL]
        assert all(later - earlier >= 60.0 for earlier, later in itertools.pairwise(starts))

    play(body)


def test_the_downtime_is_the_sum_of_its_parts(play: Any) -> None:
    """Shutdown, transfer, start and what is between."""

    async def body(scene: Any) -> None:
        world = scene.world
        moments: dict[str, float] = {}
        world.fail("source.shut_down", hook=lambda: moments.update(begin=asyncio.get_running_loop().time()))
        world.hooks["target.start_vm"] = lambda: moments.update(end=asyncio.get_running_loop().time())
        migration = await scene.start()
        await scene.ended_well(migration)
        downtime = scene.engine.report(migration).downtime
        names = [part.name for part in downtime.parts]
        assert {"shutdown", "open", "transfer", "confirm", "state", "start"} <= set(names)
        assert len(names) == len(set(names))
        assert downtime.seconds == pytest.approx(sum(part.seconds for part in downtime.parts))
        assert downtime.seconds == pytest.approx(moments["end"] - moments["begin"] + world.call_seconds, abs=0.001)

    play(body)


def test_the_prediction_is_near_what_is_measured(play: Any) -> None:
    """Where the shutdown takes what the settings guess."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        assert report.predicted_downtime_seconds == pytest.approx(report.downtime.seconds, rel=0.5)

    play(body)


def test_progress_rises_to_one_and_never_falls(play: Any) -> None:
    """As watchers see it, with a report per disk while a pass runs."""

    async def body(scene: Any) -> None:
        seen: list[Any] = []

        async def follow() -> None:
            async with scene.engine.watch() as notices:
                async for notice in notices:
                    seen.append(notice)

        scene.world.throughput /= 50
        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await scene.ended_well(await scene.start())
        await asyncio.sleep(1)
        following.cancel()
        values = [notice.report.progress for notice in seen]
        assert values == sorted(values)
        assert values[-1] == 1.0
        moving = [notice.report for notice in seen if notice.event is None and notice.report.current_pass]
        assert len(moving) > 10
        shown = [disk for report in moving for disk in report.current_pass.disks]
        assert {disk.disk for disk in shown} == {"disk-0", "disk-1"}
        assert all(0 <= disk.done_bytes <= disk.total_bytes for disk in shown)
        assert any(report.current_pass.remaining_seconds for report in moving)

    play(body)


def test_every_fact_reaches_a_watcher_in_order(play: Any) -> None:
    """Facts are not coalesced for a reader that keeps up."""

    async def body(scene: Any) -> None:
        facts: list[Any] = []

        async def follow() -> None:
            async with scene.engine.watch() as notices:
                async for notice in notices:
                    if notice.event is not None:
                        facts.append(notice.event)

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        migration = await scene.start()
        await scene.ended_well(migration)
        await asyncio.sleep(1)
        following.cancel()
        assert facts == [each.event for each in scene.engine.events(migration)]

    play(body)


def test_the_state_is_the_fold_of_the_facts_and_they_survive_json(play: Any) -> None:
    """What a durable store writes down is all that is needed."""

    async def body(scene: Any) -> None:
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        events = scene.engine.events(migration)
        restored = msgspec.json.decode(msgspec.json.encode(events), type=list[RecordedEvent])
        assert restored == events
        assert fold(restored) == scene.engine._journals[migration].state
        assert [each.number for each in events] == list(range(1, len(events) + 1))

    play(body)


def test_an_engine_on_an_old_store_knows_its_migrations(play: Any) -> None:
    """Reports and outcomes come from the facts alone."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        store = MemoryStore()
        for each in scene.engine.events(migration):
            await store.append(migration, each.time, [each.event])
        again = Engine(FakePools(scene.world), store=store)
        assert again.report(migration) == scene.engine.report(migration)
        assert await again.outcome(migration) == scene.world.the_target().uuid

    play(body)


def test_two_vms_migrate_side_by_side(play: Any) -> None:
    """Each with its own facts."""

    async def body(scene: Any) -> None:
        other = scene.world.add_vm("vm-2", "disk-9")
        one, two = await scene.start(), await scene.start(vm="vm-2")
        await asyncio.gather(scene.ended_well(one), scene.ended_well(two))
        assert other.power is PowerState.HALTED
        assert len(scene.world.target.vms) == 2
        assert {report.vm for report in scene.engine.reports()} == {"vm-1", "vm-2"}

    play(body)


def test_disks_and_interfaces_go_where_they_are_mapped(play: Any) -> None:
    """``mapVdisSrs`` and ``mapVifsNetworks``."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.target.srs["sr-fast"] = msgspec.structs.replace(world.target.srs["sr-target"], uuid="sr-fast")
        await scene.migrate(map_vdis_srs={"disk-1": "sr-fast"}, map_vifs_networks={"vif-1": "net-target"})
        target = world.the_target()
        assert [world.target.vdis[vdi].sr for vdi in target.vdis] == ["sr-target", "sr-fast"]
        assert target.vifs == {"0": "net-target"}

    play(body)
