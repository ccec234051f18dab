"""The driver that outlives the process, on a real loop: what one leaves, the next goes on with."""

import asyncio
import time
from pathlib import Path

import pytest
from dbos import DBOS

from tests.engine.conftest import REQUEST
from tests.engine.fake_pools import FakePools
from tests.engine.world import World
from xo_warmig.engine import durable
from xo_warmig.engine.durable import LOOKS_SECONDS, DurableDriver
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.store import MemoryStore
from xo_warmig.model.phases import Phase
from xo_warmig.replication.clock import SystemClock


def an_engine(world: World, store: MemoryStore, directory: Path) -> Engine:
    return Engine(
        FakePools(world),
        store=store,
        driver=DurableDriver(directory / "turns.sqlite"),
        clock=SystemClock(),
        streams=world.streams,
    )


def a_world() -> World:
    world = World()
    world.throughput *= 20
    world.shutdown_seconds = 0.1
    return world


async def test_a_migration_is_driven_to_its_end(tmp_path: Path) -> None:
    """As with any other driver."""
    world = a_world()
    engine = an_engine(world, MemoryStore(), tmp_path)
    await engine.open()
    try:
        started = await engine.start(REQUEST, user="admin")
        assert await asyncio.wait_for(engine.outcome(started.id), 30) == world.the_target().uuid
        while engine.report(started.id).finished is None:
            await asyncio.sleep(0.02)
        world.assert_equal()
        world.assert_quiet()
    finally:
        await engine.close()


@pytest.mark.parametrize("seconds", [0.15, 0.4, 0.7, 1.0])
async def test_the_next_process_goes_on_where_one_stopped(tmp_path: Path, seconds: float) -> None:
    """A server that is told to stop lets go of all disks; the next one on its files ends what it began."""
    world, store = a_world(), MemoryStore()
    engine = an_engine(world, store, tmp_path)
    await engine.open()
    started = await engine.start(REQUEST, user="admin")
    await asyncio.sleep(seconds)
    begin = time.monotonic()
    await engine.close()
    assert time.monotonic() - begin < 10
    assert world.source.ends == world.target.ends == []
    again = an_engine(world, store, tmp_path)
    await again.open()
    try:
        async with asyncio.timeout(40):
            while again.report(started.id).finished is None:
                await asyncio.sleep(0.05)
        assert again.report(started.id).phase is Phase.DONE
        world.assert_equal()
        world.assert_quiet()
        assert world.our_snapshots() == []
    finally:
        await again.close()


async def test_what_an_older_version_began_is_begun_anew_from_its_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DBOS does not go on with another version's workflows; the facts do."""
    world, store = a_world(), MemoryStore()
    monkeypatch.setattr(durable, "APPLICATION_VERSION", "0")
    engine = an_engine(world, store, tmp_path)
    await engine.open()
    started = await engine.start(REQUEST, user="admin")
    await asyncio.sleep(0.5)
    await engine.close()
    monkeypatch.setattr(durable, "APPLICATION_VERSION", "1")
    again = an_engine(world, store, tmp_path)
    await again.open()
    try:
        async with asyncio.timeout(40):
            while again.report(started.id).finished is None:
                await asyncio.sleep(0.05)
        assert again.report(started.id).phase is Phase.DONE
        world.assert_equal()
    finally:
        await again.close()


async def test_the_turns_of_ended_migrations_are_forgotten(tmp_path: Path) -> None:
    """At the next start, so that the file does not grow with the years."""
    world, store = a_world(), MemoryStore()
    engine = an_engine(world, store, tmp_path)
    await engine.open()
    started = await engine.start(REQUEST, user="admin")
    while engine.report(started.id).finished is None:
        await asyncio.sleep(0.02)
    assert await DBOS.list_workflows_async()
    await asyncio.sleep(0.2)
    await engine.close()
    again = an_engine(world, store, tmp_path)
    await again.open()
    try:
        assert await DBOS.list_workflows_async() == []
        assert again.report(started.id).phase is Phase.DONE
    finally:
        await again.close()


async def test_what_a_process_left_goes_on_at_once(tmp_path: Path) -> None:
    """A VM may be down meanwhile: well within the second that the library waits between two looks by itself.

    Were it that second, it would be so each time; a busy machine is slow now and then.
    """
    seconds: list[float] = []
    while len(seconds) < 8 and min(seconds, default=LOOKS_SECONDS) >= LOOKS_SECONDS * 0.8:
        seconds.append(await seconds_until_gone_on(made(tmp_path / str(len(seconds)))))
    assert min(seconds) < LOOKS_SECONDS * 0.8


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def seconds_until_gone_on(tmp_path: Path) -> float:
    """How long the next process takes from its start to its first call on a pool."""
    world, store = a_world(), MemoryStore()
    world.throughput //= 200
    engine = an_engine(world, store, tmp_path)
    await engine.open()
    started = await engine.start(REQUEST, user="admin")
    while not world.copies:
        await asyncio.sleep(0.02)
    await engine.close()
    again = an_engine(world, store, tmp_path)
    await again.open()
    try:
        begun = time.monotonic()
        calls = len(world.trace)
        while len(world.trace) == calls:
            await asyncio.sleep(0.005)
        seconds = time.monotonic() - begun
        assert again.report(started.id).epoch == 2
    finally:
        await again.close()
    return seconds
