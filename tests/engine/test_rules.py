"""The rules that no path may break, each against what would break it (docs/guarantees.md)."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.engine.fake_pools import BLOCK
from xo_warmig.engine.blocks import SOURCE_OPERATIONS, TARGET_OPERATIONS
from xo_warmig.errors import PoolError, PoolUnreachable, SafetyError, TransferError, WarmigError
from xo_warmig.model.passes import Verdict
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure, Verify
from xo_warmig.model.vm import Attachment, PowerState


async def failing(scene: Any, **changes: Any) -> tuple[str, WarmigError]:
    """Migrate, and see it fail."""
    migration = await scene.start(**changes)
    with pytest.raises(WarmigError) as failure:
        await scene.engine.outcome(migration)
    await scene.ended(migration)
    return migration, failure.value


def once(action: Callable[[], None]) -> Callable[[], None]:
    """A hook that acts the first time only."""
    left = [action]
    return lambda: left.pop()() if left else None


# R1: never two live copies.


def test_r1_the_source_is_blocked_before_its_shutdown_is_asked_for(play: Any) -> None:
    """All of the operations that would make it live again, each with a text of ours."""

    async def body(scene: Any) -> None:
        seen: dict[str, str] = {}
        scene.world.fail("source.shut_down", hook=lambda: seen.update(scene.world.vm.blocked))
        await scene.migrate()
        assert set(SOURCE_OPERATIONS) <= set(seen)
        assert all(text.startswith("xo_warmig") for text in seen.values())

    play(body)


def test_r1_the_target_is_blocked_from_its_creation_to_its_start(play: Any) -> None:
    """Blocked while it is made and filled, free once it runs."""

    async def body(scene: Any) -> None:
        gaps = []

        def look() -> None:
            for vm in scene.world.target.vms.values():
                if not set(TARGET_OPERATIONS) <= set(vm.blocked):
                    gaps.append(scene.world.trace[-1])

        for call in ("target.create_vm", "target.open_import", "source.shut_down", "target.finish_import"):
            scene.world.hooks[call] = look
        await scene.migrate()
        assert gaps == []
        assert scene.world.the_target().blocked == {}

    play(body)


@pytest.mark.parametrize("call", ["source.shut_down", "target.finish_import"])
def test_r1_a_source_that_somebody_unblocked_stops_the_cutover(play: Any, call: str) -> None:
    """Before the final pass and before the start the block is read again."""

    async def body(scene: Any) -> None:
        world = scene.world

        def unblock() -> None:
            if world.vm.power is PowerState.HALTED:
                world.vm.blocked.clear()

        world.hooks[call] = unblock
        _, error = await failing(scene)
        assert error.code == "BLOCKS_CHANGED"
        assert "target.start_vm" not in world.trace
        world.assert_as_found()

    play(body)


def test_r1_a_target_that_somebody_unblocked_is_not_written_to(play: Any) -> None:
    """It may have been started meanwhile."""

    async def body(scene: Any) -> None:
        scene.world.hooks["target.create_vif"] = lambda: scene.world.the_target().blocked.clear()
        _, error = await failing(scene)
        assert error.evidence["rule"] == "R1"
        assert "target.open_import" not in scene.world.trace

    play(body)


def test_r1_a_source_that_does_not_take_the_blocks_is_not_shut_down(play: Any) -> None:
    """What was asked for is read back before the shutdown."""

    async def body(scene: Any) -> None:
        scene.world.hooks["source.block_operations"] = scene.world.vm.blocked.clear
        _, error = await failing(scene)
        assert error.code == "BLOCKS_CHANGED"
        assert "source.shut_down" not in scene.world.trace
        scene.world.assert_as_found()

    play(body)


def test_r1_a_target_that_somebody_unblocked_during_the_final_pass_is_not_started(play: Any) -> None:
    """The block is read again before the start."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["target.apply_volatile_state"] = lambda: world.the_target().blocked.clear()
        _, error = await failing(scene)
        assert error.code == "BLOCKS_CHANGED"
        assert error.evidence["side"] == "target"
        assert "target.start_vm" not in world.trace
        world.assert_as_found()

    play(body)


def test_r1_a_block_of_the_users_own_does_not_keep_a_rolled_back_source_down(play: Any) -> None:
    """Even when its start is refused for a moment and has to be tried again."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.vm.blocked = {"start": "only on Mondays"}
        world.fail("target.apply_volatile_state", error=world.refusal())
        world.fail("source.start_vm", error=world.refusal("VDI_IN_USE"))
        await failing(scene)
        world.assert_as_found(blocked={"start": "only on Mondays"})

    play(body)


def test_r1_blocks_of_the_users_own_are_put_back(play: Any) -> None:
    """On a roll-back, a block on starting is set aside for the one start that undoes our shutdown."""

    async def body(scene: Any) -> None:
        before = {"start": "only on Mondays", "destroy": "precious", "pause": "no"}
        scene.world.vm.blocked = dict(before)
        scene.world.fail("target.apply_volatile_state", error=scene.world.refusal())
        await failing(scene)
        scene.world.assert_as_found(blocked=before)

    play(body)


def test_r1_the_users_blocks_are_on_the_target_once_it_runs(play: Any) -> None:
    """What the source may not do, the target may not either."""

    async def body(scene: Any) -> None:
        scene.world.vm.blocked = {"start": "only on Mondays"}
        await scene.ended_well(await scene.start())
        assert scene.world.the_target().blocked == {"start": "only on Mondays"}

    play(body)


# R2: the source is destroyed only when asked and safe.


def test_r2_the_source_is_destroyed_when_asked_after_the_boot_was_seen(play: Any) -> None:
    """Its VM and the disks of the plan, and nothing else."""

    async def body(scene: Any) -> None:
        world = scene.world
        from_boot = []
        world.fail("source.destroy_vm", hook=lambda: from_boot.append("target.is_booted" in world.trace))
        content = world.disks_of(world.source, world.vm)
        await scene.ended_well(await scene.start(delete_source_vm=True))
        assert world.source.vms == {}
        assert world.source.vdis == {}
        assert from_boot == [True]
        assert len(world.disks_of(world.target, world.the_target())) == len(content)

    play(body)


def test_r2_the_source_is_kept_when_it_was_not_asked_for(play: Any) -> None:
    """Halted, blocked, and the texts say where the VM went."""

    async def body(scene: Any) -> None:
        world = scene.world
        target = await scene.migrate()
        assert "source.destroy_vm" not in world.trace
        assert all(target in world.vm.blocked[operation] for operation in SOURCE_OPERATIONS)

    play(body)


def test_r2_snapshots_of_the_user_keep_the_source(play: Any) -> None:
    """A warning says so; the migration is done all the same."""

    async def body(scene: Any) -> None:
        scene.world.vm.snapshots = ["users-own"]
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        assert "vm-1" in scene.world.source.vms
        assert "SOURCE_KEPT" in scene.codes(migration)
        assert "SOURCE_WILL_BE_KEPT" in scene.codes(migration)

    play(body)


def test_r2_a_disk_that_another_vm_uses_keeps_the_source(play: Any) -> None:
    """Even when that began only during the migration."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["target.is_booted"] = lambda: world.other_vms.update({"disk-1": ["vm-2"]})
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        assert "vm-1" in world.source.vms
        assert "SOURCE_KEPT" in scene.codes(migration)

    play(body)


def test_r2_a_source_changed_since_its_shutdown_is_kept(play: Any) -> None:
    """Somebody who took the blocks off has plans with it."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["target.is_booted"] = world.vm.blocked.clear
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        assert "vm-1" in world.source.vms
        assert "SOURCE_KEPT" in scene.codes(migration)

    play(body)


def test_r2_the_disks_of_a_source_that_somebody_removed_are_kept(play: Any) -> None:
    """Who removed just the VM may have meant its disks to stay; that they were to go with it was never said of this state."""

    async def body(scene: Any) -> None:
        world = scene.world
        before = {disk: world.source.vdis[disk] for disk in world.vm.vdis}
        world.hooks["target.is_booted"] = world.source.vms.clear
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        assert {disk: world.source.vdis[disk] for disk in before} == before
        assert "source.destroy_vm" not in world.trace
        assert "SOURCE_KEPT" in scene.codes(migration)

    play(body)


def test_r2_a_disk_that_does_not_go_at_once_is_asked_again(play: Any) -> None:
    """The VM was gone already when it was refused: there is nothing to be blocked again, and that must not hide the refusal."""

    async def body(scene: Any) -> None:
        world = scene.world
        disks = list(world.vm.vdis)
        world.fail("source.destroy_vm", error=world.refusal("INTERNAL_ERROR"), hook=world.source.vms.clear)
        migration = await scene.start(delete_source_vm=True)
        await scene.ended_well(migration)
        assert world.source.vdis.keys().isdisjoint(disks)
        assert "LEFT_BEHIND" not in scene.codes(migration)

    play(body)


def test_r2_a_boot_that_was_not_seen_keeps_the_source(play: Any) -> None:
    """The migration waits for a person; whoever called learns the target's uuid, as it runs."""

    async def body(scene: Any) -> None:
        scene.world.boots = False
        migration = await scene.start(delete_source_vm=True)
        target = await scene.engine.outcome(migration)
        await asyncio.sleep(100)
        report = scene.engine.report(migration)
        assert target == scene.world.the_target().uuid
        assert report.phase is Phase.AWAITING_COMMIT
        assert report.waiting_for == "operator"
        assert "CHECK_TIMED_OUT" in scene.codes(migration)
        assert "source.destroy_vm" not in scene.world.trace
        scene.world.assert_quiet()

    play(body)


def test_r2_the_destruction_waits_for_a_source_pool_that_is_away(play: Any) -> None:
    """The caller has the answer meanwhile."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["target.is_booted"] = lambda: world.down.add("source")
        migration = await scene.start(delete_source_vm=True)
        await scene.engine.outcome(migration)
        await asyncio.sleep(500)
        assert scene.engine.report(migration).waiting_for == "pool"
        world.down.clear()
        await scene.ended(migration)
        assert "vm-1" not in world.source.vms

    play(body)


# R3: the final delta reads only a halted VM whose disks nobody writes to.


def test_r3_a_disk_attached_for_writing_elsewhere_is_not_read(play: Any) -> None:
    """Seen after the shutdown: rolled back."""

    async def body(scene: Any) -> None:
        world = scene.world
        writer = Attachment(vdi="disk-0", vm="dom0", is_control_domain=True, mode="RW", plugged=True)
        world.hooks["source.shut_down"] = lambda: world.source.foreign.append(writer)
        _, error = await failing(scene)
        assert error.code == "SOURCE_DISK_ATTACHED"
        assert error.evidence["disks"] == ["disk-0"]
        world.assert_as_found()

    play(body)


def test_r3_a_writer_that_came_during_the_final_pass_is_seen_at_its_last_byte(play: Any) -> None:
    """The target is not started."""

    async def body(scene: Any) -> None:
        world = scene.world
        writer = Attachment(vdi="disk-0", vm="vm-2", is_control_domain=False, mode="RW", plugged=True)
        world.hooks["source.read_again"] = lambda: world.source.foreign.append(writer)
        _, error = await failing(scene)
        # With somebody else's writer on its disk the pool refuses to start the source, too.
        assert error.code == "ROLL_BACK_FAILED"
        assert error.evidence["cause"]["evidence"]["rule"] == "R3"
        assert "target.start_vm" not in world.trace

    play(body)


# R4: only a complete pass leads on.


def test_r4_a_pass_of_which_one_disk_failed_is_no_base(play: Any) -> None:
    """Partial: the other disk's copy is not a base either."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail(
            "copy.end", 2, error=TransferError("no room", code="SR_BACKEND_FAILURE_44", evidence={"side": "target"})
        )
        migration, error = await failing(scene, verify=Verify.NONE)  # a disk that is read back yet is not complete
        assert error.code == "SR_BACKEND_FAILURE_44"
        report = scene.engine.report(migration)
        assert report.passes[0].verdict is Verdict.PARTIAL
        assert "source.shut_down" not in world.trace
        assert world.our_snapshots() == []

    play(body)


def test_r4_a_disk_that_fails_for_good_stops_the_others(play: Any) -> None:
    """At once: nothing that they still copied would be a base."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.throughput = BLOCK / 10
        world.fail("source.open_export", 1, error=world.refusal())
        migration, _ = await failing(scene)
        (only,) = scene.engine.report(migration).passes
        assert sorted(each.verdict for each in only.disks) == [Verdict.FAILED, Verdict.PARTIAL]
        assert only.bytes <= BLOCK
        assert only.seconds < 30

    play(body)


# R5: failure before the start restores the source.


def test_r5_the_source_starts_again_only_after_the_target_was_seen_off_and_blocked(play: Any) -> None:
    """In that order."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.apply_volatile_state", error=world.refusal())
        await failing(scene)
        world.assert_as_found()
        start = world.trace.index("source.start_vm")
        undone = world.trace[world.trace.index("target.apply_volatile_state") : start]
        assert undone.index("target.look") < undone.index("target.block_operations")
        assert undone.index("target.block_operations") < len(undone) - 1 - undone[::-1].index("target.look")

    play(body)


def test_r5_a_target_that_runs_keeps_the_source_off(play: Any) -> None:
    """Somebody started it by force: the error says that the source was not given back."""

    async def body(scene: Any) -> None:
        world = scene.world

        def started() -> None:
            world.the_target().power = PowerState.RUNNING

        world.fail("target.apply_volatile_state", hook=started, error=world.refusal())
        _, error = await failing(scene)
        assert error.code == "ROLL_BACK_FAILED"
        assert error.evidence["roll_back"]["code"] == "TARGET_RUNS"
        assert world.vm.power is PowerState.HALTED
        assert "start" in world.vm.blocked
        assert "source.start_vm" not in world.trace

    play(body)


@pytest.mark.parametrize("by_hand", [False, True], ids=["the pool comes back", "an operator starts the source"])
def test_r5_a_target_pool_that_is_away_is_waited_for(play: Any, by_hand: bool) -> None:
    """The source stays off until the target is seen halted, or until somebody who knows better starts it."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["source.shut_down"] = lambda: world.down.add("target")
        migration = await scene.start(on_failure=OnFailure.DROP)
        while "TARGET_POOL_AWAY" not in scene.codes(migration):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1000)
        assert scene.engine.report(migration).waiting_for == "pool"
        assert world.vm.power is PowerState.HALTED
        if by_hand:
            world.vm.power = PowerState.RUNNING
        else:
            world.down.clear()
        with pytest.raises(PoolUnreachable):
            await scene.engine.outcome(migration)
        assert scene.engine.report(migration).waiting_for == "nothing"
        assert world.vm.power is PowerState.RUNNING
        assert world.vm.blocked == {}

    play(body)


def test_r5_a_refused_start_of_the_target_rolls_back(play: Any) -> None:
    """It was seen halted with free disks, so it never ran. Its disks are no base any more (R17)."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.always["target.start_vm"] = world.refusal("NO_HOSTS_AVAILABLE")
        migration, error = await failing(scene)
        assert isinstance(error, PoolError)
        assert error.code == "NO_HOSTS_AVAILABLE"
        assert scene.engine.report(migration).phase is Phase.FAILED
        world.assert_as_found()
        assert world.our_snapshots() == []
        assert set(TARGET_OPERATIONS) <= set(world.the_target().blocked)

    play(body)


def test_r5_a_start_whose_answer_was_lost_is_waited_for(play: Any) -> None:
    """The target's pool vanishes as it accepts the start: the source stays off until the pool tells; then all goes on."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.start_vm", after=True, hook=lambda: world.down.add("target"), error=PoolUnreachable("gone"))
        migration = await scene.start()
        while "starting" not in scene.named(migration):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1000)
        assert scene.engine.report(migration).waiting_for == "pool"
        assert world.vm.power is PowerState.HALTED
        world.down.clear()
        await scene.ended_well(migration)
        assert world.the_target().power is PowerState.RUNNING
        assert world.vm.power is PowerState.HALTED

    play(body)


def test_r5_a_start_that_is_uncertain_and_then_refused_is_left_to_a_person(play: Any) -> None:
    """It may have run: nothing is undone."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.start_vm", 1, error=PoolUnreachable("gone"))
        world.fail("target.start_vm", 2, error=world.refusal("NO_HOSTS_AVAILABLE"))
        migration = await scene.start()
        with pytest.raises(SafetyError) as uncertain:
            await scene.engine.outcome(migration)
        assert uncertain.value.code == "START_UNCERTAIN"
        await asyncio.sleep(10)
        assert scene.engine.report(migration).phase is Phase.AWAITING_COMMIT
        assert world.vm.power is PowerState.HALTED
        assert "source.start_vm" not in world.trace

    play(body)


# R7: shutdowns.


def test_r7_a_refused_shutdown_gives_the_source_back_running(play: Any) -> None:
    """Unblocked, and watched."""

    async def body(scene: Any) -> None:
        refused = PoolError("no", code="SHUTDOWN_REFUSED")
        scene.world.fail("source.shut_down", error=refused)
        migration, error = await failing(scene)
        assert error.code == "SHUTDOWN_REFUSED"
        scene.world.assert_as_found()
        assert "LateHaltWatched" in scene.named(migration)
        scene.world.vm.power = PowerState.HALTED
        await asyncio.sleep(30)
        scene.world.assert_as_found()

    play(body)


@pytest.mark.parametrize("call", ["source.snapshot_disk", "target.finish_import", "source.block_operations"])
def test_r7_a_source_that_halted_by_itself_never_leads_to_a_start(play: Any, call: str) -> None:
    """It is left halted, as whoever halted it wanted."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks[call] = once(lambda: setattr(world.vm, "power", PowerState.HALTED))
        _, error = await failing(scene)
        assert error.code == "SOURCE_HALTED_UNASKED"
        assert world.vm.power is PowerState.HALTED
        assert world.vm.blocked == {}
        assert not {"target.start_vm", "source.start_vm", "source.shut_down"} & set(world.trace)

    play(body)


# R10, R15: connections.


def test_r10_a_held_import_that_died_is_opened_again(play: Any) -> None:
    """No failure, and the whole delta is sent."""

    async def body(scene: Any) -> None:
        world = scene.world

        def die() -> None:
            for end in world.target.ends:
                end.dead = True

        world.hooks["source.shut_down"] = die
        await scene.ended_well(await scene.start())
        world.assert_equal()
        world.assert_quiet()

    play(body)


def test_r15_held_imports_are_dropped_when_the_shutdown_drags_on(play: Any) -> None:
    """And opened again after it; a warning tells that this costs."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.shutdown_seconds = 700.0
        migration = await scene.start()
        while "ShutdownAsked" not in scene.named(migration):
            await asyncio.sleep(0.1)
        await asyncio.sleep(650)
        assert world.target.ends == []
        await scene.ended_well(migration)
        world.assert_equal()
        assert "HELD_IMPORTS_DROPPED" in scene.codes(migration)

    play(body)


# R12, R13.


def test_r12_a_budget_that_is_not_reached_is_told(play: Any) -> None:
    """The cutover goes on, with its reason."""

    async def body(scene: Any) -> None:
        migration = await scene.start(target_downtime=0.001, max_passes=4)
        await scene.ended_well(migration)
        assert "DOWNTIME_ABOVE_TARGET" in scene.codes(migration)
        assert len(scene.engine.report(migration).passes) <= 4

    play(body)


def test_r13_ha_is_set_only_after_the_boot_was_seen(play: Any) -> None:
    """As on the source."""

    async def body(scene: Any) -> None:
        world = scene.world
        await scene.ended_well(await scene.start())
        assert world.trace.index("target.is_booted") < world.trace.index("target.restore_ha")
        assert world.the_target().ha == "restart"

    play(body)


def test_r13_ha_stays_off_on_a_target_that_is_not_started(play: Any) -> None:
    """Halted and free to start, the source blocked, and told so."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start(start_destination_vm=False)
        target = await scene.engine.outcome(migration)
        assert world.the_target().uuid == target
        assert world.the_target().power is PowerState.HALTED
        assert world.the_target().blocked == {}
        assert world.vm.power is PowerState.HALTED
        assert "start" in world.vm.blocked
        assert "HA_LEFT_OFF" in scene.codes(migration)
        assert not {"target.start_vm", "target.restore_ha"} & set(world.trace)
        world.assert_equal()
        assert world.our_snapshots() == []

    play(body)


# R14: disks.


def _grow(world: Any) -> None:
    world.source.vdis["disk-0"].size *= 2


def _remove(world: Any) -> None:
    world.vm.vdis.remove("disk-1")


@pytest.mark.parametrize("change", [_grow, _remove], ids=["resized", "removed"])
@pytest.mark.parametrize("call", ["target.create_vif", "target.finish_import", "source.shut_down"])
def test_r14_a_changed_set_of_disks_is_noticed(play: Any, change: Callable[[Any], None], call: str) -> None:
    """At every pass and before the last."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks[call] = once(lambda: change(world))
        _, error = await failing(scene)
        assert error.code == "DISKS_CHANGED"
        world.assert_as_found()
        assert ("source.shut_down" in world.trace) is (call == "source.shut_down")

    play(body)


# R17, R18, R20: bases.


def test_r17_a_target_disk_that_something_else_uses_is_not_written_to(play: Any) -> None:
    """A foreign VBD, plugged or not."""

    async def body(scene: Any) -> None:
        world = scene.world

        def attach() -> None:
            vdi = next(iter(world.target.vdis))
            world.target.foreign.append(
                Attachment(vdi=vdi, vm="vm-9", is_control_domain=False, mode="RW", plugged=False)
            )

        world.hooks["target.create_vif"] = once(attach)
        _, error = await failing(scene)
        assert error.code == "TARGET_TOUCHED"
        assert "target.open_import" not in world.trace

    play(body)


def test_r19_no_snapshot_is_taken_below_the_reserve(play: Any) -> None:
    """The space vanishes between two passes."""

    async def body(scene: Any) -> None:
        world = scene.world
        sr = world.source.srs["sr-source"]

        def fill() -> None:
            world.source.srs["sr-source"] = msgspec.structs.replace(sr, free_bytes=1)

        world.hooks["target.finish_import"] = fill
        migration, error = await failing(scene)
        assert error.code == "NO_SPACE"
        assert world.trace.count("source.snapshot_disk") == 2
        world.assert_as_found()
        assert world.our_snapshots() == [], "our own snapshots go first"
        assert "BASES_GIVEN_UP" in scene.codes(migration)
        assert len(world.target.vdis) == 2

    play(body)


def test_r20_zeros_are_left_out_in_the_first_pass_only(play: Any) -> None:
    """Later ones must overwrite what stands there."""

    async def body(scene: Any) -> None:
        await scene.ended_well(await scene.start())
        skips = [skip for _, _, skip in scene.world.copies]
        assert skips[:2] == [True, True]
        assert not any(skips[2:])

    play(body)


def test_r20_an_sr_that_does_not_read_as_zero_gets_every_zero(play: Any) -> None:
    """Raw LVM holds what was there before."""

    async def body(scene: Any) -> None:
        srs = scene.world.target.srs
        srs["sr-target"] = msgspec.structs.replace(srs["sr-target"], reads_as_zero=False)
        await scene.ended_well(await scene.start())
        assert not any(skip for _, _, skip in scene.world.copies)

    play(body)


def test_nothing_is_deleted_between_the_last_pass_before_the_shutdown_and_the_start(play: Any) -> None:
    """Coalescing must not compete with the cutover."""

    async def body(scene: Any) -> None:
        world = scene.world
        await scene.ended_well(await scene.start())
        last_snapshot = len(world.trace) - 1 - world.trace[::-1].index("source.snapshot_disk")
        started = world.trace.index("target.start_vm")
        assert not [call for call in world.trace[last_snapshot:started] if "destroy" in call]

    play(body)


def test_imports_are_open_before_the_shutdown_is_asked_for(play: Any) -> None:
    """Attaching is most of what a transfer costs beside its bytes."""

    async def body(scene: Any) -> None:
        world = scene.world
        await scene.migrate()
        shutdown = world.trace.index("source.shut_down")
        assert "target.open_import" not in world.trace[shutdown:]
        assert world.trace[:shutdown].count("target.open_import") == world.trace.count("source.open_export")

    play(body)
