"""The process dies at any call on a pool and at any record, before and after: the next one brings the migration to its end."""

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import REQUEST, some
from tests.engine.lives import SETTINGS, Lives
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import DoorReleased, EpochBegun
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.vm import PowerState


def life_points() -> list[tuple[str, int]]:
    """Every call and every record of a good migration, in order."""

    async def body() -> list[str]:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        started = await lives.engine.start(REQUEST, user="admin")
        first = len(world.trace)
        await ended(lives, started.id)
        return [*world.trace[:first], "started", *world.trace[first:]]

    counts: dict[str, int] = {}
    points = []
    begun = False
    for call in run_virtual(body()):
        counts[call] = counts.get(call, 0) + 1
        begun = begun or call == "started"
        if begun and call != "started":
            points.append((call, counts[call]))
    return points


async def ended(lives: Lives, migration: str) -> Any:
    async with asyncio.timeout(4000):
        while (report := lives.engine.report(migration)).finished is None:
            await asyncio.sleep(0.5)
            if report.phase is Phase.AWAITING_COMMIT:
                break
    return lives.engine.report(migration)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "death" in metafunc.fixturenames:
        points = some(life_points())
        metafunc.parametrize("death", points, ids=[f"{call}-{nth}" for call, nth in points])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_next_process_goes_on(death: tuple[str, int], after: bool) -> None:
    """To its end: the target runs, equal, and nothing is left on either side."""

    async def body() -> None:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        call, nth = death
        world.fail(call, nth, after=after, hook=lives.die, kills=True)
        started = await lives.engine.start(REQUEST, user="admin")
        life = lives.number
        async with asyncio.timeout(4000):
            while lives.number == life:
                await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        facts = [each.event for each in lives.store.events(started.id)]
        begun = sum(isinstance(fact, EpochBegun) for fact in facts)
        let_go = any(isinstance(fact, DoorReleased) for fact in facts)
        await lives.next()
        report = await ended(lives, started.id)
        assert report.phase is Phase.DONE, (report.phase, report.error, report.warnings)
        assert report.epoch == begun + (not let_go), (
            "the next process began an epoch of its own while the source was ours"
        )
        # Tasks of the process that died do not stay either.
        assert {"source.tidy_tasks", "target.tidy_tasks"} <= set(world.trace) or report.epoch == 1
        world.assert_quiet()
        assert world.vm.power is PowerState.HALTED
        assert world.the_target().power is PowerState.RUNNING
        world.assert_equal()
        assert world.our_snapshots() == []
        assert len(world.target.vdis) == 2
        assert "xo_warmig:door" not in world.vm.other_config

    run_virtual(body())


def test_a_cancel_does_without_a_target_pool_that_never_comes_back() -> None:
    """After a restart too: the source runs on, unblocked, and what could not be removed is told."""

    async def body() -> None:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        started = await lives.engine.start(REQUEST, user="admin")
        await asyncio.sleep(0.8)
        lives.die()
        world.down.add("target")
        await asyncio.sleep(5)
        engine = await lives.next()
        await asyncio.sleep(30)
        assert engine.report(started.id).waiting_for is WaitingFor.POOL
        await asyncio.wait_for(engine.cancel(started.id), 600)
        report = engine.report(started.id)
        assert report.phase is Phase.CANCELLED
        assert world.vm.power is PowerState.RUNNING
        assert world.vm.blocked == {}

    run_virtual(body())


def test_a_door_that_another_server_took_meanwhile_is_waited_for() -> None:
    """R16: nothing is touched until a person has sorted it out; a cancel ends it without touching anything."""

    async def body() -> None:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        started = await lives.engine.start(REQUEST, user="admin")
        await asyncio.sleep(0.8)
        lives.die()
        await asyncio.sleep(5)
        world.vm.other_config["xo_warmig:door"] = "another/1/abcd"
        engine = await lives.next()
        await asyncio.sleep(100)
        report = engine.report(started.id)
        assert report.waiting_for is WaitingFor.OPERATOR
        assert "SOURCE_CLAIMED" in [warning.code for warning in report.warnings]
        world.trace.clear()
        with pytest.raises(WarmigError):
            await engine.cancel(started.id)
        assert engine.report(started.id).phase is Phase.FAILED
        assert set(world.trace) <= {"source.claim_door", "store.append"}
        assert world.vm.other_config["xo_warmig:door"] == "another/1/abcd"

    run_virtual(body())


def refused_start(*, ran: bool) -> Any:
    """The process dies when it has asked for the target's start, and the next one is refused it; the report, and the world."""

    async def body() -> tuple[Any, World]:
        world = World()
        lives = Lives(world)
        await lives.engine.open()

        def die() -> None:
            lives.die()
            world.the_target().started = ran

        world.fail("target.start_vm", 2, error=world.refusal("NO_HOSTS_AVAILABLE"))
        world.fail("target.start_vm", hook=die, kills=True)
        started = await lives.engine.start(REQUEST, user="admin")
        life = lives.number
        async with asyncio.timeout(4000):
            while lives.number == life:
                await asyncio.sleep(0.1)
        await lives.next()
        return await ended(lives, started.id), world

    return run_virtual(body())


def test_r5_a_target_that_never_had_a_domain_lets_the_source_start_again() -> None:
    """Whether the dead process had asked for the start nobody knows, but the pool knows that nothing came of it."""
    report, world = refused_start(ran=False)
    assert report.phase is Phase.FAILED
    assert report.error["code"] == "NO_HOSTS_AVAILABLE"
    world.assert_as_found()


def test_r5_a_target_that_may_have_run_is_left_to_a_person() -> None:
    """It had a domain: its disks may hold writes that the source has not."""
    report, world = refused_start(ran=True)
    assert report.phase is Phase.AWAITING_COMMIT
    assert world.vm.power is PowerState.HALTED
    assert "source.start_vm" not in world.trace


def test_a_pool_that_is_connected_is_noticed_at_once() -> None:
    """A server that was just started connects in the background, and a VM may be down until it has."""

    async def body() -> float:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        world.fail("target.start_vm", hook=lives.die, kills=True)
        started = await lives.engine.start(REQUEST, user="admin")
        life = lives.number
        while lives.number == life:
            await asyncio.sleep(0.1)
        world.down |= {"source", "target"}
        await lives.next()
        await asyncio.sleep(SETTINGS.pool_poll_seconds / 3)
        assert lives.engine.report(started.id).waiting_for is WaitingFor.POOL
        world.down.clear()
        begin = asyncio.get_running_loop().time()
        lives.pools.connected_now.set()
        while world.the_target().power is not PowerState.RUNNING:
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - begin

    assert run_virtual(body()) < SETTINGS.pool_poll_seconds / 3
