"""Ends that are easily missed: a pool that forgot what it was asked, a watch that outlives its reason, an answer that never comes."""

import asyncio
from typing import Any

import pytest

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import PowerState


async def failing(scene: Any) -> tuple[str, WarmigError]:
    """A migration that fails; its id and its error, once all is undone."""
    migration = await scene.start()
    with pytest.raises(WarmigError) as failure:
        await scene.engine.outcome(migration)
    await scene.ended(migration)
    return migration, failure.value


def test_r5_a_start_that_the_pool_forgot_is_not_taken_for_a_refusal(play: Any) -> None:
    """A restarted toolstack lost the task, and the VM comes up a moment later: the source must stay off."""

    async def body(scene: Any) -> None:
        world = scene.world

        def comes_up() -> None:
            world.the_target().power = PowerState.RUNNING

        def later() -> None:
            asyncio.get_running_loop().call_later(1.0, comes_up)

        world.fail("target.start_vm", error=world.refusal("TASK_LOST"), hook=later)
        migration = await scene.start()
        await scene.ended_well(migration)
        assert world.the_target().power is PowerState.RUNNING
        assert world.vm.power is PowerState.HALTED
        assert "source.start_vm" not in world.trace
        world.assert_quiet()

    play(body)


def test_r5_a_start_of_the_source_that_the_pool_forgot_is_asked_for_again(play: Any) -> None:
    """A roll-back ends with a source that runs."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.start_vm", error=world.refusal("NO_HOSTS_AVAILABLE"))
        world.fail("source.start_vm", error=world.refusal("TASK_LOST"))
        _, error = await failing(scene)
        assert error.code == "NO_HOSTS_AVAILABLE"
        world.assert_as_found()

    play(body)


def test_r5_a_source_that_runs_already_is_no_failed_roll_back(play: Any) -> None:
    """Its first start was forgotten by the pool and came true; the second is refused for that."""

    async def body(scene: Any) -> None:
        world = scene.world

        def comes_up() -> None:
            world.vm.power = PowerState.RUNNING

        world.fail("target.start_vm", error=world.refusal("NO_HOSTS_AVAILABLE"))
        world.fail("source.start_vm", error=world.refusal("VM_BAD_POWER_STATE"), hook=comes_up)
        _, error = await failing(scene)
        assert error.code == "NO_HOSTS_AVAILABLE"
        world.assert_as_found()

    play(body)


def test_r7_the_watch_ends_when_a_later_migration_shut_the_source_down(play: Any) -> None:
    """Also when that migration is over before the watch looks again: its halting was wanted."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("source.shut_down", error=PoolError("no", code="SHUTDOWN_REFUSED"))
        first, _ = await failing(scene)
        assert "LateHaltWatched" in scene.named(first)
        await scene.ended_well(await scene.start())
        world.trace.clear()
        await asyncio.sleep(60)
        assert "source.start_vm" not in world.trace
        assert scene.named(first).count("LateHaltWatched") == 2, "it began and ended"
        assert world.vm.power is PowerState.HALTED

    play(body)


def test_a_target_that_cannot_be_unblocked_ends_the_migration_all_the_same(play: Any) -> None:
    """It was not to be started: whoever asked is answered, and told what is left to do."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.always["target.unblock_operations"] = world.refusal("OPERATION_NOT_ALLOWED")
        migration = await scene.start(start_destination_vm=False)
        await asyncio.wait_for(scene.ended_well(migration), 100)
        assert "TARGET_STILL_BLOCKED" in scene.codes(migration)
        assert world.vm.power is PowerState.HALTED
        assert world.our_snapshots() == []

    play(body)


def test_something_unforeseen_at_the_end_is_answered(play: Any) -> None:
    """The migration stands still for a person, and whoever waits for it is told."""

    async def body(scene: Any) -> None:
        scene.world.always["target.unblock_operations"] = RuntimeError("a bug")
        migration = await scene.start(start_destination_vm=False)
        with pytest.raises(WarmigError):
            await asyncio.wait_for(scene.engine.outcome(migration), 100)
        await asyncio.sleep(1)
        assert scene.engine.report(migration).phase is Phase.AWAITING_COMMIT

    play(body)


def test_a_target_that_no_host_could_start_costs_no_downtime(play: Any) -> None:
    """It is seen before the source is blocked or stopped."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.assert_startable", error=world.refusal("NO_HOSTS_AVAILABLE"))
        _, error = await failing(scene)
        assert error.code == "NO_HOSTS_AVAILABLE"
        assert not {"source.block_operations", "source.shut_down"} & set(world.trace)
        world.assert_as_found()

    play(body)
