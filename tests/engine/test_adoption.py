"""What a failed attempt leaves, and what the next one makes of it."""

import asyncio
from typing import Any

import msgspec
import pytest

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import Attachment, PowerState


async def fail_in_final_pass(scene: Any, **changes: Any) -> str:
    """An attempt with complete passes that breaks at the very end."""
    scene.world.fail("target.apply_volatile_state", error=scene.world.refusal())
    migration = await scene.start(**changes)
    with pytest.raises(WarmigError):
        await scene.engine.outcome(migration)
    scene.world.assert_as_found()
    return str(migration)


async def succeed(scene: Any, **changes: Any) -> Any:
    """Another attempt that works; its report. Nothing of either is left over."""
    scene.world.copies.clear()
    migration = await scene.start(**changes)
    await scene.ended_well(migration)
    scene.world.assert_quiet()
    scene.world.assert_equal()
    assert scene.world.our_snapshots() == []
    return scene.engine.report(migration)


def test_a_retry_goes_on_from_the_kept_base(play: Any) -> None:
    """Its first pass is a delta into the same disks, and the earlier VM is replaced."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        kept, shell = set(world.target.vdis), world.the_target().uuid
        assert len(world.our_snapshots()) == 2
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.DELTA
        assert set(world.target.vdis) == kept
        assert report.target_vm != shell
        assert not any(skip for _, _, skip in world.copies)

    play(body)


def test_a_retry_still_takes_a_delta_of_known_age_before_its_cutover(play: Any) -> None:
    """The delta from a base of unknown age gives no dirty rate."""

    async def body(scene: Any) -> None:
        await fail_in_final_pass(scene)
        report = await succeed(scene)
        assert report.passes[0].dirty_bytes_per_second is None
        assert report.passes[1].dirty_bytes_per_second is not None

    play(body)


def test_what_the_guest_wrote_back_in_between_is_copied_too(play: Any) -> None:
    """A broken delta put new content on the target; the guest wrote the old content back: the next delta has it."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.dirty_per_call = 0
        disk = world.source.vdis["disk-0"]
        old = disk.blocks[0][0]

        def write() -> None:
            disk.blocks[0] = (777, next(world.moment))

        world.fail("source.snapshot_disk", 3, hook=write)
        world.fail("copy.end", 3, error=world.refusal())
        world.fail("copy.end", 4, error=world.refusal())
        migration = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(migration)
        target = next(vdi for vdi in world.target.vdis.values() if vdi.tag == f"{migration}/disk-0")
        assert target.blocks[0][0] == 777
        disk.blocks[0] = (old, next(world.moment))
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.DELTA

    play(body)


def test_a_revert_of_the_source_voids_the_base(play: Any) -> None:
    """Its disk has another uuid then: copied anew, onto a fresh disk, and the old copy is removed."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        reverted = world.source.vdis.pop("disk-0")
        reverted.uuid = "disk-reverted"
        world.source.vdis["disk-reverted"] = reverted
        world.vm.vdis[0] = "disk-reverted"
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL
        assert "COPY_NOT_REUSED" in [warning.code for warning in report.warnings]
        assert len(world.target.vdis) == 2

    play(body)


def test_a_resized_disk_is_copied_anew(play: Any) -> None:
    """A base is bound to the size (R18)."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        world.source.vdis["disk-0"].size *= 2
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL
        assert len(world.target.vdis) == 2

    play(body)


def test_a_base_that_somebody_deleted_is_none(play: Any) -> None:
    """The snapshot is looked for before it is counted on."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        for snapshot in world.our_snapshots():
            del world.source.vdis[snapshot.uuid]
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL

    play(body)


def _write_elsewhere(world: Any) -> None:
    """To a target disk, by somebody else."""
    world.target.vdis[next(iter(world.target.vdis))].blocks[0] = (666, next(world.moment))


def test_r17_a_copy_that_was_seen_in_use_is_no_base_for_the_next_attempt(play: Any) -> None:
    """Whoever had its disk may have let go of it again when that looks."""

    async def body(scene: Any) -> None:
        world = scene.world

        def attach() -> None:
            world.target.foreign.append(
                Attachment(
                    vdi=next(iter(world.target.vdis)), vm="vm-9", is_control_domain=False, mode="RW", plugged=True
                )
            )

        world.fail("source.snapshot_disk", 3, hook=attach)
        migration = await scene.start()
        with pytest.raises(WarmigError) as caught:
            await scene.engine.outcome(migration)
        assert caught.value.code == "TARGET_TOUCHED"
        await scene.ended(migration)
        _write_elsewhere(world)
        world.target.foreign.clear()
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL

    play(body)


def test_r17_a_vm_that_took_a_disk_during_a_pause_is_not_written_under(play: Any) -> None:
    """The pass goes on where it was, so no other look at the target comes before its next import."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.call_seconds = 0.1
        migration = await scene.start()
        while "target.open_import" not in world.trace:
            await asyncio.sleep(0.05)
        await scene.engine.pause(migration)
        while not scene.engine.report(migration).paused:
            await asyncio.sleep(0.05)
        assert scene.engine.report(migration).phase is Phase.COPYING
        for vdi in world.target.vdis:
            theirs = Attachment(vdi=vdi, vm="vm-9", is_control_domain=False, mode="RW", plugged=True)
            world.target.foreign.append(theirs)
        before = [vdi.content() for vdi in world.target.vdis.values()]
        await scene.engine.resume(migration)
        with pytest.raises(WarmigError) as caught:
            await scene.engine.outcome(migration)
        assert caught.value.code == "TARGET_TOUCHED"
        assert [vdi.content() for vdi in world.target.vdis.values()] == before
        world.assert_as_found()

    play(body)


def test_r17_a_copy_that_was_free_to_start_is_no_base_for_the_next_attempt(play: Any) -> None:
    """The way back blocks it again, so nothing would tell of it later; another failure may come before it is seen."""

    async def body(scene: Any) -> None:
        world = scene.world

        def use() -> None:
            world.the_target().blocked.clear()
            _write_elsewhere(world)

        world.fail("target.apply_volatile_state", error=world.refusal(), hook=use)
        migration = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert world.the_target().blocked
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL

    play(body)


def _run_it(world: Any) -> None:
    """And halt it again, blocked as it was."""
    world.the_target().started = True


def _start_it(world: Any) -> None:
    world.the_target().power = PowerState.RUNNING


def _unblock_it(world: Any) -> None:
    world.the_target().blocked.clear()


@pytest.mark.parametrize("use", [_unblock_it, _start_it, _run_it], ids=["unblocked", "started", "started and stopped"])
def test_a_kept_target_that_somebody_took_into_use_is_left_alone(play: Any, use: Any) -> None:
    """It is theirs now; the disks are copied anew (R17)."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        theirs = world.the_target()
        before = {vdi: world.target.vdis[vdi].content() for vdi in theirs.vdis}
        use(world)
        world.violations.clear()
        migration = await scene.start()
        target = await scene.engine.outcome(migration)
        assert target != theirs.uuid
        assert "KEPT_COPY_IN_USE" in scene.codes(migration)
        assert {vdi: world.target.vdis[vdi].content() for vdi in theirs.vdis} == before
        assert scene.engine.report(migration).passes[0].kind is PassKind.FULL
        await scene.ended(migration)
        assert world.our_snapshots() == []

    play(body)


@pytest.mark.parametrize(("mode", "adopted"), [("RW", True), ("RO", False)])
def test_what_a_restarted_toolstack_left_attached_is_released(play: Any, mode: str, adopted: bool) -> None:
    """For writing it can only be our own dead import (R16); for reading it is somebody else's, and the copy is left alone."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        for vdi in world.the_target().vdis:
            left = Attachment(vdi=vdi, vm="dom0", is_control_domain=True, mode=mode, plugged=True)
            world.target.foreign.append(left)
        migration = await scene.start()
        await scene.engine.outcome(migration)
        first = scene.engine.report(migration).passes[0].kind
        assert first is (PassKind.DELTA if adopted else PassKind.FULL)
        assert (world.target.foreign == []) is adopted
        await scene.ended(migration)

    play(body)


def test_a_kept_target_that_is_gone_is_made_anew(play: Any) -> None:
    """Whether it ran before it was deleted nobody knows: its disks are no base and are removed."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        world.target.vms.clear()
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.FULL
        assert len(world.target.vdis) == 2

    play(body)


def test_a_partial_first_pass_is_copied_anew_and_removed(play: Any) -> None:
    """Without a complete pass there is no base (R4)."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("copy.end", 1, error=world.refusal())
        with pytest.raises(PoolError):
            await scene.migrate()
        old = set(world.target.vdis)
        assert len(old) == 2
        assert world.our_snapshots() == []
        await succeed(scene)
        assert not old & set(world.target.vdis)

    play(body)


def test_attempts_that_fail_again_and_again_pile_nothing_up(play: Any) -> None:
    """One VM, its disks and one base each, however often."""

    async def body(scene: Any) -> None:
        world = scene.world
        for _ in range(4):
            world.faults.clear()
            world.counts.clear()
            await fail_in_final_pass(scene)
            assert len(world.target.vms) == 1
            assert len(world.target.vdis) == 2
            assert len(world.our_snapshots()) == 2
        world.faults.clear()
        await succeed(scene)

    play(body)


def test_a_copy_that_is_not_to_be_kept_is_dropped(play: Any) -> None:
    """With its base."""

    async def body(scene: Any) -> None:
        await fail_in_final_pass(scene, on_failure=OnFailure.DROP)
        scene.world.assert_nothing_left()

    play(body)


def test_what_could_not_be_removed_is_removed_by_the_next_attempt(play: Any) -> None:
    """The pool was away when the copy was to be dropped."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("copy.begin", hook=lambda: world.down.add("target"))
        migration = await scene.start(on_failure=OnFailure.DROP)
        with pytest.raises(WarmigError) as away:
            await scene.engine.outcome(migration)
        assert len(away.value.evidence["left"]) == 3
        world.down.clear()
        old = set(world.target.vdis) | set(world.target.vms)
        assert len(old) == 3
        await succeed(scene)
        assert not old & (set(world.target.vdis) | set(world.target.vms))

    play(body)


def test_a_target_pool_killed_in_the_middle_of_a_pass_leaves_only_what_a_retry_needs(play: Any) -> None:
    """The source runs on, the error names the pool, and the retry works."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("copy.begin", 3, hook=lambda: world.down.add("target"))
        migration = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(migration)
        assert world.vm.power is PowerState.RUNNING
        assert world.vm.blocked == {}
        assert len(world.our_snapshots()) == 2
        world.down.clear()
        report = await succeed(scene)
        assert report.passes[0].kind is PassKind.DELTA

    play(body)


def test_a_success_elsewhere_removes_the_kept_copy(play: Any) -> None:
    """Another SR is another way: the kept copy is not adopted, and is of no use once the VM has moved."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.target.srs["sr-other"] = msgspec.structs.replace(world.target.srs["sr-target"], uuid="sr-other")
        await fail_in_final_pass(scene)
        report = await succeed(scene, sr="sr-other")
        assert report.passes[0].kind is PassKind.FULL
        assert {vdi.sr for vdi in world.target.vdis.values()} == {"sr-other"}
        assert len(world.target.vms) == 1

    play(body)


def test_a_kept_copy_saves_room_only_where_its_disk_is_to_go(play: Any) -> None:
    """A disk that is now mapped to another SR needs room there; on its own it needs none."""

    async def body(scene: Any) -> None:
        srs = scene.world.target.srs
        srs["sr-other"] = msgspec.structs.replace(srs["sr-target"], uuid="sr-other", free_bytes=0)
        await fail_in_final_pass(scene)
        srs["sr-target"] = msgspec.structs.replace(
            srs["sr-target"], free_bytes=srs["sr-target"].physical_size_bytes // 100
        )
        assert (await scene.engine.plan(scene.request)).possible
        mapped = msgspec.structs.replace(scene.request, map_vdis_srs={"disk-1": "sr-other"})
        (lack,) = [each for each in (await scene.engine.plan(mapped)).findings if each.code == "NO_SPACE"]
        assert lack.evidence["sr"] == "sr-other"

    play(body)


def test_a_halted_source_is_gone_on_with_by_one_final_delta(play: Any) -> None:
    """Its owner shut it down between the attempts."""

    async def body(scene: Any) -> None:
        world = scene.world
        await fail_in_final_pass(scene)
        world.vm.power = PowerState.HALTED
        report = await succeed(scene)
        assert [each.kind for each in report.passes] == [PassKind.FINAL]
        assert report.phase is Phase.DONE
        assert not any(skip for _, _, skip in world.copies)

    play(body)
