"""Words that steer a migration: each counts in its phases, once, and whatever runs when it comes is let go of properly."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from xo_warmig.engine.fold import fold
from xo_warmig.errors import IncorrectState, InvalidRequest, NoSuchObject, WarmigError
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState

Play = Any


async def until(scene: Any, migration: str, phase: Phase) -> Any:
    async with asyncio.timeout(100_000):
        while scene.engine.report(migration).phase is not phase:
            await scene.engine._journals[migration].changed()
    return scene.engine.report(migration)


def scribble(world: Any) -> None:
    """The target writes on its disks as soon as it runs."""
    for vdi in world.the_target().vdis:
        world.target.vdis[vdi].blocks[63] = (4711, next(world.moment))


def test_a_roll_back_without_a_way_back_voids_the_copy(play: Play) -> None:
    """R17: no room for snapshots of the target; its disks are kept, and copied whole by the next attempt."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.always["target.snapshot_disk"] = world.refusal()
        migration = await scene.start(commit="manual")
        await until(scene, migration, Phase.AWAITING_COMMIT)
        assert "NO_WAY_BACK" in scene.codes(migration)
        scribble(world)
        await scene.engine.rollback(migration, discard_target_changes=True)
        assert all(kept.target.base is None for kept in scene.engine._journals[migration].state.kept)
        world.assert_as_found()
        again = await scene.start()
        await scene.ended_well(again)
        world.assert_equal()
        assert scene.engine.report(again).passes[0].kind is PassKind.FULL

    play(body)


def test_a_task_is_forgotten_for_good(play: Play) -> None:
    """Not before the migration has ended, once, and the facts say so to the next process."""

    async def body(scene: Any) -> None:
        migration = await scene.start(commit="manual")
        await until(scene, migration, Phase.AWAITING_COMMIT)
        with pytest.raises(IncorrectState):
            await scene.engine.forget_task(migration)
        await scene.engine.commit(migration)
        for _ in range(2):
            await scene.engine.forget_task(migration)
        facts = scene.engine.events(migration)
        assert sum(type(each.event).__name__ == "TaskForgotten" for each in facts) == 1
        again = fold(facts)
        assert again is not None
        assert again.task_forgotten
        assert again.phase is Phase.DONE

    play(body)


def test_a_hold_goes_on_syncing_until_the_word(play: Play) -> None:
    """An hour, with a pass in each least interval and a prediction on show; then it cuts over within the budget."""

    async def body(scene: Any) -> None:
        migration = await scene.start(cutover="hold", min_pass_interval=300.0, target_downtime=5.0)
        await until(scene, migration, Phase.HOLDING)
        await asyncio.sleep(3600)
        while (report := await until(scene, migration, Phase.HOLDING)).waiting_for is not WaitingFor.OPERATOR:
            await scene.engine._journals[migration].changed()  # it has come out of a pass just now
        assert 10 <= len(report.passes) <= 16
        assert report.predicted_downtime_seconds is not None
        assert scene.world.vm.power is PowerState.RUNNING
        await scene.engine.cutover(migration)
        await scene.engine.cutover(migration)
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        assert scene.named(migration).count("CutoverAsked") == 1
        assert report.downtime.seconds <= 5.0
        scene.world.assert_equal()

    play(body)


def test_the_prediction_on_show_grows_while_nothing_is_copied(play: Play) -> None:
    """It is that of cutting over at the moment of the report."""

    async def body(scene: Any) -> None:
        migration = await scene.start(cutover="hold", min_pass_interval=3000.0)
        await until(scene, migration, Phase.HOLDING)
        before = scene.engine.report(migration).predicted_downtime_seconds
        await asyncio.sleep(1000)
        assert scene.engine.report(migration).predicted_downtime_seconds > before

    play(body)


def test_a_time_is_kept(play: Play) -> None:
    """The source runs until then, and the last pass begins early enough to be over."""

    async def body(scene: Any) -> None:
        due = scene.engine._around.clock.now() + 3600
        text = datetime.fromtimestamp(due, UTC).isoformat()
        migration = await scene.start(cutover=text, min_pass_interval=600.0)
        await until(scene, migration, Phase.HOLDING)
        assert scene.engine.report(migration).cutover_time == pytest.approx(due)
        await scene.ended_well(migration)
        (asked,) = [e.time for e in scene.engine.events(migration) if type(e.event).__name__ == "ShutdownAsked"]
        assert due <= asked <= due + 10
        passes = [each for each in scene.engine.report(migration).passes if each.kind is PassKind.DELTA]
        assert due - 60 <= passes[-1].started <= due
        scene.world.assert_equal()

    play(body)


@pytest.mark.parametrize("text", ["tomorrow", "2030-01-31T03:00:00", "2001-01-31T03:00:00+00:00"])
def test_a_time_that_is_none_is_refused(play: Play, text: str) -> None:
    """Neither words, nor a time of nowhere, nor one that is over."""

    async def body(scene: Any) -> None:
        with pytest.raises(InvalidRequest) as refused:
            await scene.start(cutover=text)
        assert refused.value.evidence["instancePath"] == "/cutover"

    play(body)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.6, 0.9, 1.4, 2.5])
def test_a_pause_lets_go_of_everything_and_a_resume_goes_on(play: Play, seconds: float) -> None:
    """Wherever the word meets it; nothing is attached while it is paused, and the same pass goes on."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start(cutover="hold")
        await asyncio.sleep(seconds)
        await scene.engine.pause(migration)
        await scene.engine.pause(migration)
        report = scene.engine.report(migration)
        assert report.paused
        assert report.waiting_for is WaitingFor.OPERATOR
        world.assert_quiet()
        passes = len(report.passes)
        await asyncio.sleep(1000)
        assert len(scene.engine.report(migration).passes) == passes
        with pytest.raises(IncorrectState) as refused:
            await scene.engine.cutover(migration)
        assert refused.value.code == "PAUSED"
        await scene.engine.resume(migration)
        await scene.engine.resume(migration)
        await until(scene, migration, Phase.HOLDING)
        assert not scene.engine.report(migration).paused
        await scene.engine.cutover(migration)
        await scene.ended_well(migration)
        world.assert_equal()
        world.assert_quiet()
        assert scene.named(migration).count("PauseAsked") == 1

    play(body)


def test_a_paused_migration_can_be_cancelled(play: Play) -> None:
    """And drops its copy although the request would have kept it."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await asyncio.sleep(0.5)
        await scene.engine.pause(migration)
        await scene.engine.cancel(migration, drop=True)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        scene.world.assert_as_found()
        scene.world.assert_nothing_left()

    play(body)


def test_commit_by_hand(play: Play) -> None:
    """The source is settled when somebody says so, and the answer of the call does not wait for that."""

    async def body(scene: Any) -> None:
        migration = await scene.start(commit="manual", delete_source_vm=True)
        target = await scene.engine.outcome(migration)
        assert target == scene.world.the_target().uuid
        await until(scene, migration, Phase.AWAITING_COMMIT)
        await asyncio.sleep(1000)
        assert "vm-1" in scene.world.source.vms
        await scene.engine.commit(migration)
        assert scene.engine.report(migration).phase is Phase.DONE
        assert scene.world.source.vms == {}
        await scene.engine.commit(migration)

    play(body)


def test_commit_after_a_time(play: Play) -> None:
    """So many seconds after the boot was seen."""

    async def body(scene: Any) -> None:
        migration = await scene.start(commit=600)
        await until(scene, migration, Phase.AWAITING_COMMIT)
        await asyncio.sleep(1)
        report = scene.engine.report(migration)
        assert report.waiting_for is WaitingFor.TIME
        await asyncio.sleep(550)
        assert scene.engine.report(migration).phase is Phase.AWAITING_COMMIT
        await scene.ended(migration)
        finished = scene.engine.report(migration).finished
        assert finished == pytest.approx(report.commit_time, abs=5)

    play(body)


def test_a_roll_back_after_the_start_needs_the_word_that_changes_may_go(play: Play) -> None:
    """With it the target is off and blocked, its disks are those of before its start, and the source runs again."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["target.start_vm"] = lambda: scribble(world)
        migration = await scene.start(commit="manual")
        await until(scene, migration, Phase.AWAITING_COMMIT)
        with pytest.raises(IncorrectState) as refused:
            await scene.engine.rollback(migration, discard_target_changes=False)
        assert refused.value.code == "TARGET_HAS_CHANGES"
        assert world.the_target().power is PowerState.RUNNING
        await scene.engine.rollback(migration, discard_target_changes=True)
        report = scene.engine.report(migration)
        assert report.phase is Phase.FAILED
        assert report.error["code"] == "ROLLED_BACK"
        assert world.the_target().power is PowerState.HALTED
        assert "start" in world.the_target().blocked
        world.assert_as_found()
        with pytest.raises(WarmigError, match="rolled back"):
            await scene.engine.outcome(migration)
        world.hooks.clear()
        again = await scene.start()
        await scene.ended_well(again)
        world.assert_equal()
        assert scene.engine.report(again).passes[0].kind is PassKind.DELTA
        assert len(world.target.vdis) == 2

    play(body)


def test_a_roll_back_before_the_start_is_a_cancel(play: Play) -> None:
    """The source runs on."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await asyncio.sleep(0.9)
        await scene.engine.rollback(migration, discard_target_changes=False)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        scene.world.assert_as_found()

    play(body)


@pytest.mark.parametrize("word", ["pause", "cutover", "cancel", "rollback", "resume"])
def test_a_word_out_of_its_phase_names_the_phase(play: Play, word: str) -> None:
    """After the end none counts."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        more = {"discard_target_changes": True} if word == "rollback" else {}
        with pytest.raises(IncorrectState) as refused:
            await getattr(scene.engine, word)(migration, **more)
        assert refused.value.evidence["actual"] == "done"
        with pytest.raises(NoSuchObject):
            await getattr(scene.engine, word)("none", **more)

    play(body)


def test_a_sweep_names_only_what_nothing_owns(play: Play) -> None:
    """Neither a running migration's objects, nor a kept copy, nor a finished target, nor what no migration of ours made."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("copy.end", 3, error=world.refusal())
        failed = await scene.start()
        await scene.ended(failed)
        kept = {vdi.uuid for vdi in world.target.vdis.values()}
        assert (await scene.engine.sweep(remove=True)).objects == []
        assert set(world.target.vdis) == kept
        # Objects that a failed clean-up left, and one of a server that we do not know.
        lost = next(iter(world.target.vdis.values()))
        stray = type(lost)("stray", lost.size, lost.sr)
        stray.tag = f"{failed}/disk-0"
        foreign = type(lost)("foreign", lost.size, lost.sr)
        foreign.tag = "another-server/disk-0"
        world.target.vdis |= {"stray": stray, "foreign": foreign}
        found = await scene.engine.sweep(remove=False)
        assert [each.object.uuid for each in found.objects] == ["stray"]
        assert "stray" in world.target.vdis
        removed = await scene.engine.sweep(remove=True)
        assert [each.removed for each in removed.objects] == [True]
        assert set(world.target.vdis) == kept | {"foreign"}
        await scene.ended_well(await scene.start())
        assert (await scene.engine.sweep(remove=True)).objects == []

    play(body)


def test_a_kept_copy_goes_when_its_time_is_over(play: Play) -> None:
    """R6: seven days, told in the report."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("copy.end", 3, error=world.refusal())
        failed = await scene.start()
        await scene.ended(failed)
        until = scene.engine.report(failed).kept_until
        assert until == pytest.approx(scene.engine._around.clock.now() + 7 * 86400, abs=60)
        await asyncio.sleep(6 * 86400)
        assert len(world.target.vdis) == 2
        await asyncio.sleep(86400 + 7200)
        assert scene.engine.report(failed).kept_until is None
        world.assert_nothing_left()

    play(body)


def test_the_plan_tells_what_is_reused_and_why_not(play: Play) -> None:
    """A delta after an attempt that failed late; whole disks, with the reason, when the base is gone."""

    async def body(scene: Any) -> None:
        world = scene.world
        first = await scene.engine.plan(scene.request)
        assert first.possible
        assert [disk.way for disk in first.disks] == ["vhd", "vhd"]
        world.fail("copy.end", 3, error=world.refusal())
        await scene.ended(await scene.start())
        second = await scene.engine.plan(scene.request)
        assert [(disk.way, disk.reused) for disk in second.disks] == [("vhdDelta", True)] * 2
        for snapshot in world.our_snapshots():
            if snapshot.snapshot_of == "disk-1":
                del world.source.vdis[snapshot.uuid]
        third = await scene.engine.plan(scene.request)
        assert [disk.reused for disk in third.disks] == [True, False]
        assert "gone" in third.disks[1].reason
        assert {finding.code for finding in third.findings} == {
            "COPY_REUSED",
            "COPY_NOT_REUSED",
            "SAMPLE_OF_EXPORT_HEAD",
            "NO_NBD",
        }

    play(body)


def test_a_door_that_another_server_has_is_not_forced(play: Play) -> None:
    """Refused before anything is touched."""

    async def body(scene: Any) -> None:
        scene.world.vm.other_config["xo_warmig:door"] = "another/1/abcd"
        with pytest.raises(WarmigError) as refused:
            await scene.start()
        assert refused.value.code == "SOURCE_CLAIMED"
        assert not {call for call in scene.world.trace if "create" in call or "claim" in call}

    play(body)


def test_a_door_that_was_taken_away_stops_us_from_touching_anything(play: Play) -> None:
    """R16: whoever has the key now drives the VM."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start(cutover="hold", on_failure=OnFailure.DROP, min_pass_interval=30.0)
        await until(scene, migration, Phase.HOLDING)
        world.vm.other_config["xo_warmig:door"] = "another/1/abcd"
        await until(scene, migration, Phase.FAILED)
        assert scene.engine.report(migration).error["code"] == "DOOR_LOST"
        assert world.vm.other_config["xo_warmig:door"] == "another/1/abcd"
        assert world.target.vms
        world.assert_as_found()

    play(body)


def test_a_key_that_came_back_or_was_copied_along_is_no_obstacle(play: Play) -> None:
    """A revert brings back the key of a migration that is over; a clone has that of the VM it was made from."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start()
        await scene.engine.cancel(migration, drop=True)
        world.vm.other_config["xo_warmig:door"] = f"{migration}/1/abcd/vm-1"
        again = await scene.start()
        await asyncio.sleep(0.8)
        assert world.vm.other_config["xo_warmig:door"].startswith(again)
        await scene.engine.cancel(again, drop=True)
        assert "xo_warmig:door" not in world.vm.other_config
        world.vm.other_config["xo_warmig:door"] = "another/1/abcd/another-vm"
        assert (await scene.engine.plan(scene.request)).possible

    play(body)


@pytest.mark.parametrize("word", ["commit", "rollback"])
def test_a_word_at_the_very_moment_of_its_phase_is_heard(play: Play, word: str) -> None:
    """Said as soon as the phase is on record, before anybody waits for it."""

    async def body(scene: Any) -> None:
        migration = await scene.start(commit="manual")
        await until(scene, migration, Phase.AWAITING_COMMIT)
        more = {"discard_target_changes": True} if word == "rollback" else {}
        async with asyncio.timeout(60):
            await getattr(scene.engine, word)(migration, **more)

    play(body)
