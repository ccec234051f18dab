"""A migration on show as a task on both pools: made, told, heard, ended and taken away, whatever befalls it."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import REQUEST
from tests.engine.fake_pools import FakePool, FakeTask
from tests.engine.lives import Lives
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.engine.pool_tasks import next_look
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import PoolUnreachable, WarmigError
from xo_warmig.model.phases import Phase, can_cancel
from xo_warmig.model.vm import PowerState

SIDES = ("source", "target")
CALLS = ("show_task", "look_at_task", "end_task", "drop_task")


def pools(world: World) -> tuple[FakePool, FakePool]:
    return world.source, world.target


def the_task(pool: FakePool) -> FakeTask:
    (task,) = pool.tasks.values()
    return task


async def on_show(world: World) -> None:
    while not (world.source.tasks and world.target.tasks):
        await asyncio.sleep(0.05)


async def in_phase(scene: Any, migration: str, *phases: Phase) -> None:
    while scene.engine.report(migration).phase not in phases:
        await asyncio.sleep(0.05)


def test_both_pools_show_it_with_progress_and_how_it_ended(play: Any) -> None:
    """Growing, at most every few seconds; a while after the end nothing is left."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.throughput //= 20
        migration = await scene.start()
        await on_show(world)
        tasks = [the_task(pool) for pool in pools(world)]
        for task, vm in zip(tasks, ["vm-1", ""], strict=True):
            assert task.wanted.label == "Warm migration of web"
            assert task.wanted.description == f"xo_warmig migration {migration}: from source to target"
            assert (task.wanted.migration, task.wanted.vm) == (migration, vm)
        begun = asyncio.get_running_loop().time()
        await scene.ended_well(migration)
        looks = (asyncio.get_running_loop().time() - begun) / Settings().pool_task_seconds
        await asyncio.sleep(1)
        for task in tasks:
            assert task.status == "success"
            assert 3 <= len(task.progress) <= looks + 2
            assert task.progress == sorted(set(task.progress))
            assert 0 < task.progress[-1] <= 1
        await asyncio.sleep(Settings().pool_task_linger_seconds)
        assert world.source.tasks == world.target.tasks == {}

    play(body)


def test_nothing_is_asked_in_a_short_downtime(play: Any) -> None:
    """From before the source is blocked until the target runs."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.shutdown_seconds = 12.0
        await scene.migrate()
        first, last = world.trace.index("source.block_operations"), world.trace.index("target.start_vm")
        inside = {call.partition(".")[2] for call in world.trace[first:last]}
        assert "shut_down" in inside
        assert not inside & set(CALLS)

    play(body)


@pytest.mark.parametrize(
    "phase", [phase for phase in Phase if phase not in (Phase.DONE, Phase.FAILED, Phase.CANCELLED)]
)
def test_looks_are_seldom_while_nothing_runs(phase: Phase) -> None:
    """And not while it is young; a source that was halted all along misses nothing."""
    settings = Settings()
    running = a_state(phase, PowerState.RUNNING)
    down = phase in (
        Phase.STOPPING,
        Phase.FINALISING,
        Phase.VERIFYING,
        Phase.STARTING,
        Phase.ROLLING_BACK,
        Phase.CANCELLING,
    )
    assert next_look(running, 97.0, settings) == (130.0 if down else 102.0)
    assert next_look(running, 140.0, settings) == (170.0 if down else 145.0)
    assert next_look(a_state(phase, PowerState.HALTED), 97.0, settings) == 102.0
    back = msgspec.structs.replace(running, source_started_again=True)
    assert next_look(back, 97.0, settings) == (
        130.0 if down and phase not in (Phase.ROLLING_BACK, Phase.CANCELLING) else 102.0
    )


def a_state(phase: Phase, power: PowerState) -> MigrationState:
    """Of a migration that asked for the shutdown at 100 s."""

    async def body() -> MigrationState:
        lives = Lives(World())
        await lives.engine.open()
        return lives.engine._journals[(await lives.engine.start(REQUEST, user="admin")).id].state

    state: MigrationState = run_virtual(body())
    vm = msgspec.structs.replace(state.plan.vm, power_state=power)
    return msgspec.structs.replace(
        state, phase=phase, shutdown_asked=100.0, plan=msgspec.structs.replace(state.plan, vm=vm)
    )


@pytest.mark.parametrize("side", SIDES)
def test_a_cancel_on_either_pool_s_task_cancels(play: Any, side: str) -> None:
    """As the call would: the source runs on as it was found, and both tasks say so."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start(cutover="hold")
        await in_phase(scene, migration, Phase.HOLDING)
        tasks = [the_task(pool) for pool in pools(world)]
        the_task(getattr(world, side)).cancel_asked = True
        with pytest.raises(WarmigError, match="cancelled"):
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        world.assert_as_found()
        await asyncio.sleep(1)
        assert [task.status for task in tasks] == ["cancelled", "cancelled"]
        assert scene.named(migration).count("CancelAsked") == 1

    play(body)


def test_a_cancel_after_the_target_s_start_is_not_heeded(play: Any) -> None:
    """It goes on to its end, and its progress is told still."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.boots = False
        migration = await scene.start()
        await in_phase(scene, migration, Phase.CHECKING)
        assert not can_cancel(Phase.CHECKING)
        task = the_task(world.target)
        task.cancel_asked = True
        await asyncio.sleep(20)
        assert scene.engine.report(migration).phase is Phase.CHECKING
        world.boots = True
        await scene.ended_well(migration)
        await asyncio.sleep(1)
        assert task.status == "success"
        assert "CancelAsked" not in scene.named(migration)
        assert scene.codes(migration).count("CANCEL_NOT_HEEDED") == 1

    play(body)


def test_a_failure_is_told_with_its_code(play: Any) -> None:
    """As XAPI tells one."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("target.assert_startable", error=world.refusal("NO_HOSTS_AVAILABLE"))
        migration = await scene.start()
        await on_show(world)
        task = the_task(world.source)
        await scene.ended(migration)
        await asyncio.sleep(1)
        assert (task.status, task.error[0]) == ("failure", "NO_HOSTS_AVAILABLE")

    play(body)


def test_a_restarted_toolstack_shows_it_again(play: Any) -> None:
    """Its tasks went with it."""

    async def body(scene: Any) -> None:
        world = scene.world
        migration = await scene.start(cutover="hold")
        await in_phase(scene, migration, Phase.HOLDING)
        before = the_task(world.source).uuid
        world.restart("source", 3.0)
        await asyncio.sleep(20)
        after = the_task(world.source)
        assert after.uuid != before
        assert after.progress, "it is told at once how far it is"
        assert scene.engine._journals[migration].state.pool_tasks["pool-source"] == after.uuid

    play(body)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ["MESSAGE_METHOD_UNKNOWN", "RBAC_PERMISSION_DENIED", "INTERNAL_ERROR", "away"])
def test_no_call_for_it_is_needed(play: Any, call: str, code: str) -> None:
    """The migration is as good without; a pool that refuses for good is not asked again."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.throughput //= 20
        away = PoolUnreachable("no answer", evidence={"pool": "source", "host": "example"})
        world.always[f"source.{call}"] = away if code == "away" else world.refusal(code)
        migration = await scene.start()
        await scene.ended_well(migration)
        asked = world.counts.get(f"source.{call}", 0)
        if call in ("show_task", "look_at_task"):
            for_good = code in ("MESSAGE_METHOD_UNKNOWN", "RBAC_PERMISSION_DENIED")
            assert asked == 1 if for_good else asked > 1
        world.assert_quiet()
        world.assert_equal()
        await asyncio.sleep(4000)
        assert scene.engine._journals[migration].state.pool_tasks == {}
        assert world.target.tasks == {}

    play(body)


def test_a_pool_whose_tasks_nobody_can_end_gets_none(play: Any) -> None:
    """It is not asked again by the next migration either."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.source.shows_tasks = False
        migration = await scene.start(cutover="hold")
        await in_phase(scene, migration, Phase.HOLDING)
        await scene.engine.cancel(migration)
        await scene.migrate()
        assert world.counts["source.show_task"] == 1
        assert world.counts["target.show_task"] == 2

    play(body)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "place", [("show_task", 1), ("look_at_task", 1), ("look_at_task", 3), ("end_task", 1), ("drop_task", 1)]
)
@pytest.mark.parametrize("side", SIDES)
def test_the_next_process_shows_it_on_and_takes_it_away(side: str, place: tuple[str, int], after: bool) -> None:
    """Wherever the one before died: never two tasks on a pool, and none in the end."""

    async def body() -> None:
        world = World()
        world.throughput //= 20
        lives = Lives(world)
        await lives.engine.open()
        call, nth = place
        world.fail(f"{side}.{call}", nth, after=after, hook=lives.die, kills=True)
        started = await lives.engine.start(REQUEST, user="admin")
        first = lives.number
        async with asyncio.timeout(400):
            while lives.number == first:
                await asyncio.sleep(0.1)
        await lives.next()
        most = 0
        async with asyncio.timeout(4000):
            while lives.engine.report(started.id).finished is None:
                most = max(most, len(world.source.tasks), len(world.target.tasks))
                await asyncio.sleep(0.1)
        assert most <= 1
        await asyncio.sleep(60)
        assert world.source.tasks == world.target.tasks == {}
        assert lives.engine._journals[started.id].state.pool_tasks == {}

    run_virtual(body())


def test_a_sweep_names_a_task_only_when_nobody_minds_it(play: Any) -> None:
    """Not while its migration runs, nor while its end is on show; what the pool would not let go of it takes away."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.fail("source.drop_task", error=world.refusal("OPERATION_NOT_ALLOWED"))
        migration = await scene.start()
        await on_show(world)
        left = the_task(world.source).uuid
        assert (await scene.engine.sweep(remove=True)).objects == []
        await scene.ended_well(migration)
        assert (await scene.engine.sweep(remove=True)).objects == []
        await asyncio.sleep(60)
        (swept,) = (await scene.engine.sweep(remove=True)).objects
        assert (swept.object.kind, swept.object.uuid, swept.removed) == ("task", left, True)
        assert world.source.tasks == {}

    play(body)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer lost"])
def test_a_task_that_may_have_been_made_is_ended_too(play: Any, lost: bool) -> None:
    """Though nobody was told of it, and the migration was over before the next look."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.throughput *= 100
        error = PoolUnreachable("no answer", evidence={"pool": "source"}) if lost else world.refusal()
        world.fail("source.show_task", error=error, after=True)
        migration = await scene.start(cutover="hold")
        await asyncio.sleep(1)
        task = the_task(world.source)
        await scene.engine.cancel(migration)
        await asyncio.sleep(1)
        assert task.status == "cancelled"
        await asyncio.sleep(60)
        assert world.source.tasks == {}

    play(body)
