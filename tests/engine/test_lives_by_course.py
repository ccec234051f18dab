"""The process dies in the course that a request, a word or a failure leads to: the next one ends it as it was meant to end."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.engine.conftest import REQUEST, SWEEP
from tests.engine.lives import Lives
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState

# Every so many of each course's points: neighbours mostly find the same.
STRIDE = 1 if SWEEP == "all" else 9

Word = Callable[[Lives, str], Awaitable[Any]]


def as_it_is(world: World) -> None:
    """Nothing is special about it."""


async def nothing(lives: Lives, migration: str) -> None:
    """Nobody says a word."""


def fails_late(world: World) -> None:
    """When the source is down already."""
    world.always["target.apply_volatile_state"] = world.refusal("SR_BACKEND_FAILURE_44")


def is_halted(world: World) -> None:
    world.vm.power = PowerState.HALTED


def serves_blocks(world: World) -> None:
    world.source.serves_blocks = True


def serves_blocks_and_fails_late(world: World) -> None:
    serves_blocks(world)
    fails_late(world)


def cancel_at(seconds: float, *, drop: bool | None) -> Word:
    async def say(lives: Lives, migration: str) -> None:
        await asyncio.sleep(seconds)
        await lives.engine.cancel(migration, drop=drop)

    return say


async def cut_over(lives: Lives, migration: str) -> None:
    await phase_of(lives, migration, Phase.HOLDING)
    await lives.engine.cutover(migration)


async def roll_back(lives: Lives, migration: str) -> None:
    await phase_of(lives, migration, Phase.AWAITING_COMMIT)
    await lives.engine.rollback(migration, discard_target_changes=True)


async def phase_of(lives: Lives, migration: str, *phases: Phase) -> None:
    journal = lives.engine._journals[migration]
    while journal.state.phase not in phases:
        await journal.changed()


class Course(NamedTuple):
    """``since``: the fact, or the phase, from which on it is not the plain one any more."""

    since: str
    changes: dict[str, Any] = {}  # noqa: RUF012
    world: Callable[[World], None] = as_it_is
    word: Word = nothing
    ends: Phase = Phase.DONE


COURSES = {
    "source deleted": Course("committing", {"delete_source_vm": True}),
    "target left halted": Course("verifying", {"start_destination_vm": False}),
    "fails late, kept": Course("finalising", world=fails_late, ends=Phase.FAILED),
    "fails late, dropped": Course("finalising", {"on_failure": OnFailure.DROP}, fails_late, ends=Phase.FAILED),
    "cancelled, kept": Course("CancelAsked", word=cancel_at(0.9, drop=None), ends=Phase.CANCELLED),
    "cancelled, dropped": Course("CancelAsked", word=cancel_at(1.3, drop=True), ends=Phase.CANCELLED),
    "cancelled in the shutdown": Course("CancelAsked", word=cancel_at(2.4, drop=None), ends=Phase.CANCELLED),
    "held, cut over": Course("CutoverAsked", {"cutover": "hold"}, word=cut_over),
    "rolled back, kept": Course("RollbackAsked", {"commit": "manual"}, word=roll_back, ends=Phase.FAILED),
    "rolled back, dropped": Course(
        "RollbackAsked", {"commit": "manual", "on_failure": OnFailure.DROP}, word=roll_back, ends=Phase.FAILED
    ),
    "halted all along": Course("preparing", world=is_halted),
    "by blocks": Course("preparing", world=serves_blocks),
    "by blocks, fails late, kept": Course("finalising", world=serves_blocks_and_fails_late, ends=Phase.FAILED),
    "by blocks, cancelled, dropped": Course(
        "CancelAsked", world=serves_blocks, word=cancel_at(1.3, drop=True), ends=Phase.CANCELLED
    ),
}


def names(lives: Lives, migration: str) -> list[str]:
    """The facts so far, phases by their own name."""
    return [str(getattr(each.event, "phase", type(each.event).__name__)) for each in lives.store.events(migration)]


async def begin(course: Course) -> tuple[Lives, str, "asyncio.Task[Any]"]:
    """A first life with the migration begun, and whoever says the word at work."""
    world = World()
    course.world(world)
    lives = Lives(world)
    await lives.engine.open()
    request = msgspec.structs.replace(REQUEST, **course.changes)
    migration = (await lives.engine.start(request, user="admin")).id
    return lives, migration, asyncio.create_task(_say(course, lives, migration))


async def _say(course: Course, lives: Lives, migration: str) -> None:
    await course.word(lives, migration)


async def end(lives: Lives, migration: str) -> Any:
    journal = lives.engine._journals[migration]
    async with asyncio.timeout(10_000):
        while not journal.state.ended:
            await journal.changed()
    return journal.state


@functools.cache
def points_of(name: str) -> list[tuple[str, int]]:
    """Every call and every record of a course, from where it is not the plain one any more."""

    async def body() -> list[tuple[str, int]]:
        course = COURSES[name]
        lives, migration, saying = await begin(course)
        journal = lives.engine._journals[migration]
        while course.since not in names(lives, migration):
            await journal.changed()
        before = len(lives.world.trace)
        await end(lives, migration)
        await saying
        counts: dict[str, int] = {}
        points = []
        for place, call in enumerate(lives.world.trace):
            counts[call] = counts.get(call, 0) + 1
            if place >= before:
                points.append((call, counts[call]))
        return points

    found: list[tuple[str, int]] = run_virtual(body())
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "death" in metafunc.fixturenames:
        deaths = [(name, call, nth) for name in COURSES for call, nth in points_of(name)[::STRIDE]]
        metafunc.parametrize("death", deaths, ids=[f"{name}: {call}-{nth}" for name, call, nth in deaths])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_next_process_ends_it(death: tuple[str, str, int], after: bool) -> None:
    """As the request, the word or the failure says; never two run, one does, and nothing is left that no kept copy lists."""
    name, call, nth = death
    course = COURSES[name]

    async def body() -> None:
        lives, migration, saying = await begin(course)
        world = lives.world
        disks = [world.source.vdis[vdi] for vdi in world.vm.vdis]
        world.fail(call, nth, after=after, hook=lives.die, kills=True)
        async with asyncio.timeout(10_000):
            while lives.number == 1:
                await asyncio.sleep(0.1)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        await asyncio.sleep(5)
        await lives.next()
        if course.word is not nothing and course.since not in names(lives, migration):
            await course.word(lives, migration)  # its record was lost, so whoever said it got no answer
        state = await end(lives, migration)
        assert state.phase is course.ends, (state.phase, state.error, state.warnings)
        world.assert_quiet()
        assert state.left == []
        assert not any("xo_warmig:door" in vm.other_config for vm in world.source.vms.values())
        if course.ends is Phase.DONE:
            see_moved(world, state, [disk.content() for disk in disks])
        else:
            see_given_back(world, state)

    run_virtual(body())


def see_moved(world: World, state: Any, contents: list[dict[int, int]]) -> None:
    """One VM runs, or the target is free to; it has what the source had."""
    target = world.the_target()
    assert world.vm.power is PowerState.HALTED
    assert target.power is (PowerState.RUNNING if state.request.start_destination_vm else PowerState.HALTED)
    assert target.blocked == {}
    assert world.disks_of(world.target, target) == contents
    assert set(world.target.vdis) == set(target.vdis)
    assert world.our_snapshots() == []
    assert not any(vdi.tracked for vdi in world.source.vdis.values())
    if state.request.delete_source_vm:
        assert (world.source.vms, world.source.vdis) == ({}, {})
    else:
        assert "start" in world.vm.blocked


def see_given_back(world: World, state: Any) -> None:
    """The source runs as it was found; of the copy there is what is kept, or nothing."""
    world.assert_as_found()
    tracked = {uuid for uuid in world.vm.vdis if world.source.vdis[uuid].tracked}
    if state.drops_copy:
        world.assert_nothing_left()
        assert tracked == set()
        return
    assert tracked == {each.disk for each in state.kept if each.tracked}
    assert state.kept
    assert {vdi.uuid for vdi in world.our_snapshots()} == {each.target.base for each in state.kept} - {None}
    assert set(world.target.vdis) == {each.target.vdi for each in state.kept}
    assert "start" in world.the_target().blocked
