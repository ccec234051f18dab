"""Disks that are read by blocks: changed block tracking is turned on where it helps, believed where it may be, and put back."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import Scene
from tests.engine.fake_pools import FakeEnd
from xo_warmig.engine.keeping import drop_expired
from xo_warmig.errors import PoolUnreachable, TransferError, WarmigError
from xo_warmig.model.events import DiskCopied, PassStarted
from xo_warmig.model.passes import Way
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure, Transport, Verify
from xo_warmig.model.vm import PowerState


def serving(scene: Scene) -> Any:
    """Its source's pool serves blocks; the source."""
    scene.world.source.serves_blocks = True
    return scene.world.source


def ways_of(scene: Scene, migration: str) -> list[list[Way]]:
    """Of each pass, those of its disks."""
    started = [each.event for each in scene.engine.events(migration) if isinstance(each.event, PassStarted)]
    return [[disk.way for disk in event.plan.disks] for event in started]


def tracked(scene: Scene) -> list[bool]:
    return [scene.world.source.vdis[vdi].tracked for vdi in scene.world.vm.vdis]


def see_moved(scene: Scene) -> None:
    scene.world.assert_quiet()
    scene.world.assert_equal()
    assert scene.world.our_snapshots() == []


def test_every_pass_is_read_by_blocks_and_tracking_is_put_back(play: Any) -> None:
    """The first by the table of what is stored, the others by the log of what changed; it is off again in the end."""

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await scene.start()
        await scene.ended_well(migration)
        first, *deltas = ways_of(scene, migration)
        assert first == [Way.NBD] * 2
        assert len(deltas) >= 2
        assert all(ways == [Way.CBT] * 2 for ways in deltas)
        assert scene.world.trace.count("source.open_export") == 2, "for the table of each disk"
        assert tracked(scene) == [False, False]
        assert "WAY_CHANGED" not in scene.codes(migration)
        see_moved(scene)

    play(body)


def test_the_downtime_has_no_question_that_could_be_asked_before(play: Any) -> None:
    """The way of the final pass is chosen while the source runs, but for whether its host lived."""

    async def body(scene: Scene) -> None:
        serving(scene)
        await scene.migrate()
        trace = scene.world.trace
        downtime = trace[trace.index("source.shut_down") : trace.index("target.start_vm")]
        assert downtime.count("source.host_lives") == 1
        assert not {"source.against_blocks", "source.is_tracked", "source.life_of", "target.open_import"} & set(
            downtime
        )

    play(body)


def test_nothing_is_attached_where_nothing_changed(play: Any) -> None:
    """Whether anything did is known before a disk is opened."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.dirty_per_call = 0
        migration = await scene.start()
        await scene.ended_well(migration)
        assert scene.world.trace.count("source.open_blocks") == 2, "in the first pass"
        see_moved(scene)

    play(body)


def test_no_byte_is_copied_before_the_list_s_export_has_let_go(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """R10: it is closed while the ends of the copy are opened."""
    abort, left = FakeEnd.abort, [1]

    async def cling(end: FakeEnd) -> None:
        await abort(end)
        if left and left.pop():
            raise TransferError("a control domain still holds it", code="DISK_STILL_ATTACHED")

    monkeypatch.setattr(FakeEnd, "abort", cling)

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await scene.start()
        await scene.ended(migration)
        (copied, *_) = [each.event for each in scene.engine.events(migration) if isinstance(each.event, DiskCopied)]
        assert copied.report.error is not None
        assert copied.report.error["code"] == "DISK_STILL_ATTACHED"
        assert copied.report.written_bytes == 0

    play(body)


def test_a_users_own_tracking_stays(play: Any) -> None:
    """Only what was off goes off (R5)."""

    async def body(scene: Scene) -> None:
        serving(scene).vdis["disk-1"].tracked = True
        await scene.ended_well(await scene.start())
        assert tracked(scene) == [False, True]
        assert scene.world.trace.count("source.track") == 1

    play(body)


def test_what_cannot_be_tracked_is_read_from_vhd_exports(play: Any) -> None:
    """A licence may forbid it; that is no failure."""

    async def body(scene: Scene) -> None:
        serving(scene).refuses_tracking = True
        migration = await scene.start()
        await scene.ended_well(migration)
        first, *deltas = ways_of(scene, migration)
        assert first == [Way.NBD] * 2
        assert all(ways == [Way.VHD] * 2 for ways in deltas)
        see_moved(scene)

    play(body)


def test_transport_vhd_asks_for_nothing(play: Any) -> None:
    """No tracking, no blocks."""

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await scene.start(transport=Transport.VHD)
        await scene.ended_well(migration)
        assert all(ways == [Way.VHD] * 2 for ways in ways_of(scene, migration))
        assert not {"source.track", "source.against_blocks", "source.life_of"} & set(scene.world.trace)

    play(body)


def crashed(scene: Scene) -> None:
    source = scene.world.source
    source.life = msgspec.structs.replace(source.life, host_booted="1.")


def test_r21_a_log_over_a_crash_of_the_host_is_not_believed(play: Any) -> None:
    """It may lack writes and look whole: the delta is read from VHD exports, and that is told. The one after that may be believed."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        scene.world.fail("source.snapshot_disk", 2, after=True, hook=lambda: crashed(scene))
        migration = await scene.start(cutover="hold")
        while len(ways_of(scene, migration)) < 3:
            await scene.engine._journals[migration].changed()
        assert source.life.host_booted == "1."
        assert ways_of(scene, migration)[:3] == [[Way.NBD] * 2, [Way.VHD] * 2, [Way.CBT] * 2]
        assert "WAY_CHANGED" in scene.codes(migration)
        await scene.engine.cutover(migration)
        await scene.ended_well(migration)
        see_moved(scene)

    play(body)


@pytest.mark.parametrize(
    ("call", "after"), [("source.shut_down", False), ("source.shut_down", True)], ids=["before the halt", "after it"]
)
def test_r21_a_host_that_goes_down_in_the_cutover_voids_the_log(play: Any, call: str, after: bool) -> None:
    """The final pass is a delta by VHD export then; nothing reads the disk by blocks."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.fail(call, after=after, hook=lambda: crashed(scene))
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration)[-1] == [Way.VHD] * 2
        trace = scene.world.trace
        assert "source.changed_blocks" not in trace[trace.index("source.shut_down") :]
        see_moved(scene)

    play(body)


def test_blocks_that_cannot_be_opened_are_read_from_an_export_instead(play: Any) -> None:
    """In the same pass, and it is told (R12); each disk's report has its way and the reason."""

    async def body(scene: Scene) -> None:
        serving(scene)
        dropped = TransferError("it closed the connection without a word", code="NBD_DROPPED")
        scene.world.fail("source.open_blocks", 3, error=dropped)
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "WAY_CHANGED" in scene.codes(migration)
        first, second, *_ = scene.engine.report(migration).passes
        assert {(each.way, each.way_reason) for each in first.disks} == {(Way.NBD, "the pool serves the disk over NBD")}
        assert {(each.way, each.way_reason) for each in second.disks} == {
            (Way.VHD, f"not over NBD: {dropped.message}"),
            (Way.CBT, "the pool tracks the disk's changes and serves it over NBD"),
        }
        see_moved(scene)

    play(body)


async def failed(scene: Scene, **changes: Any) -> str:
    """A migration that fails when its source is down."""
    scene.world.always["target.apply_volatile_state"] = scene.world.refusal("SR_BACKEND_FAILURE_44")
    migration = await scene.start(**changes)
    with pytest.raises(WarmigError):
        await scene.engine.outcome(migration)
    await scene.ended(migration)
    scene.world.always.clear()
    return migration


def test_tracking_is_kept_with_the_copy_and_the_retry_is_a_delta_by_it(play: Any) -> None:
    """R6: where the source ran on all the time."""

    async def body(scene: Scene) -> None:
        serving(scene)
        await cancelled_while_held(scene)
        assert tracked(scene) == [True, True]
        migration = await scene.start()
        await scene.ended_well(migration)
        assert all(ways == [Way.CBT] * 2 for ways in ways_of(scene, migration))
        assert tracked(scene) == [False, False]
        see_moved(scene)

    play(body)


def test_r21_after_a_source_was_started_again_the_retry_begins_with_an_export(play: Any) -> None:
    """The log is believed within one life of the VM only."""

    async def body(scene: Scene) -> None:
        serving(scene)
        await failed(scene)
        assert tracked(scene) == [True, True]
        migration = await scene.start()
        await scene.ended_well(migration)
        first, *others = ways_of(scene, migration)
        assert first == [Way.VHD] * 2
        assert all(ways == [Way.CBT] * 2 for ways in others)
        assert tracked(scene) == [False, False]
        see_moved(scene)

    play(body)


@pytest.mark.parametrize("drops", [True, False])
def test_tracking_ends_with_the_copy(play: Any, drops: bool) -> None:
    """At once where it is dropped, else when its time is over."""

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await failed(scene, on_failure=OnFailure.DROP if drops else OnFailure.KEEP)
        if not drops:
            assert scene.engine.report(migration).phase is Phase.FAILED
            until = scene.engine._around.clock.now() + 8 * 86400.0
            while any(tracked(scene)) and scene.engine._around.clock.now() < until:
                await scene.engine._around.clock.sleep(3600.0)
        assert tracked(scene) == [False, False]
        assert scene.world.our_snapshots() == []

    play(body)


async def cancelled_while_held(scene: Scene) -> None:
    """An attempt that leaves a copy whose base was tracked; the source ran on all the time."""
    earlier = await scene.start(cutover="hold")
    while scene.engine.report(earlier).phase is not Phase.HOLDING:
        await scene.engine._journals[earlier].changed()
    await scene.engine.cancel(earlier)
    await scene.ended(earlier)


def test_r21_a_vm_that_halted_without_us_is_read_from_exports(play: Any) -> None:
    """Its kept base was tracked, but nobody knows how it halted."""

    async def body(scene: Scene) -> None:
        serving(scene)
        await cancelled_while_held(scene)
        crashed(scene)
        scene.world.vm.power = PowerState.HALTED
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration) == [[Way.VHD] * 2]
        see_moved(scene)

    play(body)


def test_r21_snapshots_that_a_pool_took_after_it_was_away_are_of_no_known_life(play: Any) -> None:
    """The host may have crashed meanwhile, and the log of a disk that is not attached looks whole."""

    async def body(scene: Scene) -> None:
        serving(scene)
        away = PoolUnreachable("pool source does not answer", evidence={"pool": "source"})
        scene.world.fail("source.snapshot_disk", 3, error=away, hook=lambda: crashed(scene))
        migration = await scene.start(cutover="hold")
        while len(ways_of(scene, migration)) < 4:
            await scene.engine._journals[migration].changed()
        ways = ways_of(scene, migration)
        assert ways[1:3] == [[Way.VHD] * 2] * 2, "neither up to those snapshots nor from them on"
        assert ways[3] == [Way.CBT] * 2
        await scene.engine.cutover(migration)
        await scene.ended_well(migration)
        see_moved(scene)

    play(body)


@pytest.mark.parametrize(("power", "before_others"), [(PowerState.RUNNING, True), (PowerState.HALTED, False)])
def test_a_disk_goes_before_those_of_others_while_its_vm_is_down_because_of_us(
    play: Any, power: PowerState, before_others: bool
) -> None:
    """One that was halted all along may take hours, and nobody waits for it: others' passes are not held up for that."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        scene.world.target.serves_blocks = True
        scene.world.vm.power = power
        await scene.ended_well(await scene.start(verify=Verify.FULL))
        assert [*source.queued[-2:], *scene.world.target.queued[-2:]] == [before_others] * 4

    play(body)


def test_r21_a_shutdown_that_was_not_clean_voids_the_log(play: Any) -> None:
    """The VM may have halted with its host."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        plain = source.shut_down

        async def shut_down(vm: str, policy: Any) -> bool:
            await plain(vm, policy)
            return False

        source.shut_down = shut_down
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration)[-1] == [Way.VHD] * 2
        see_moved(scene)

    play(body)


@pytest.mark.parametrize("code", ["VDI_IN_USE", "SR_BACKEND_FAILURE_460", "INTERNAL_ERROR"])
def test_a_log_that_cannot_be_read_in_the_downtime_costs_no_more_than_an_export(play: Any, code: str) -> None:
    """Nothing is waited for, and what is open of the target stays open."""

    async def body(scene: Scene) -> None:
        serving(scene)
        refusal = scene.world.refusal(code)

        def refuse() -> None:
            scene.world.always["source.changed_blocks"] = refusal

        scene.world.fail("source.shut_down", after=True, hook=refuse)
        migration = await scene.start()
        await scene.ended_well(migration)
        trace = scene.world.trace
        downtime = trace[trace.index("source.shut_down") : trace.index("target.start_vm")]
        assert downtime.count("source.open_export") == 2
        assert "target.open_import" not in downtime
        assert "WAY_CHANGED" in scene.codes(migration)
        see_moved(scene)

    play(body)


def test_blocks_that_break_in_the_downtime_are_not_tried_again(play: Any) -> None:
    """The next final pass comes from exports."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        plain = source.open_blocks

        async def open_blocks(vdi: str, **named: Any) -> Any:
            end = await plain(vdi, **named)
            if vdi in scene.world.vm.vdis:
                end.dead = True
            return end

        source.open_blocks = open_blocks
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration)[-2:] == [[Way.CBT] * 2, [Way.VHD] * 2]
        see_moved(scene)

    play(body)


def test_blocks_that_keep_breaking_are_read_from_an_export_in_the_end(play: Any) -> None:
    """While the source runs they are tried for a while."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        plain = source.open_blocks

        async def open_blocks(vdi: str, **named: Any) -> Any:
            end = await plain(vdi, **named)
            end.dead = True
            return end

        source.open_blocks = open_blocks
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "WAY_CHANGED" in scene.codes(migration)
        see_moved(scene)

    play(body)


@pytest.mark.parametrize("comes_true", [True, False])
def test_tracking_whose_call_may_come_true_later_is_ours(play: Any, comes_true: bool) -> None:
    """It is put back whether it did or not."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        busy = scene.world.refusal("OTHER_OPERATION_IN_PROGRESS")

        async def track(vdi: str) -> None:
            source.vdis[vdi].tracked = source.vdis[vdi].tracked or (comes_true and scene.world.trace.count("busy") > 3)
            scene.world.trace.append("busy")
            raise busy

        source.track = track
        await scene.ended_well(await scene.start())
        assert tracked(scene) == [False, False]
        see_moved(scene)

    play(body)


def test_tracking_that_could_not_be_put_back_is_turned_off_later(play: Any) -> None:
    """The pool was away when the migration ended; nobody else would ever know."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        plain = source.untrack

        async def untrack(vdi: str) -> None:
            raise PoolUnreachable("pool source does not answer", evidence={"pool": "source"})

        source.untrack = untrack
        migration = await failed(scene, on_failure=OnFailure.DROP)
        assert "LEFT_BEHIND" in scene.codes(migration)
        assert tracked(scene) == [True, True]
        source.untrack = plain
        await scene.engine._around.clock.sleep(3 * 3600.0)
        assert tracked(scene) == [False, False]

    play(body)


def test_a_pool_that_is_away_holds_up_no_clean_up(play: Any) -> None:
    """It may never come back; what is kept there is left for another time, and what others left is looked at all the same."""

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await failed(scene)
        engine = scene.engine
        engine._works.forget(migration)
        pools: Any = engine._around.pools
        there = pools.pool

        async def away(uuid: str) -> Any:
            raise PoolUnreachable(f"pool {uuid} is not connected")

        pools.pool = away
        await engine._around.clock.sleep(8 * 86400.0)
        async with asyncio.timeout(60):
            await drop_expired(engine._journals, engine._works)
        assert engine._journals[migration].state.kept
        pools.pool = there
        await drop_expired(engine._journals, engine._works)
        assert not engine._journals[migration].state.kept
        assert tracked(scene) == [False, False]

    play(body)
