"""A scene to play in: an engine between two pools in memory, on a loop of virtual time."""

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from tests.engine.fake_pools import FakePools
from tests.engine.virtual_time import VirtualClock, run_virtual
from tests.engine.world import World
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.settings import Settings
from xo_warmig.model.requests import WarmMigrationRequest

SWEEP = os.environ.get("XO_WARMIG_SWEEP", "")
_AFTER_ITS_END = ("end_task", "drop_task")
REQUEST = WarmMigrationRequest(vm="vm-1", sr="sr-target", start_destination_vm=True, delete_source_vm=False)


class Scene:
    """A world with an engine in it."""

    def __init__(self) -> None:
        self.world = World()
        self.engine = Engine(
            FakePools(self.world),
            clock=VirtualClock(),
            streams=self.world.streams,
            settings=Settings(halting_seconds=30.0),
        )
        self.request = REQUEST

    async def migrate(self, **changes: Any) -> str:
        """Start and see the outcome; the target's uuid."""
        return await self.engine.outcome(await self.start(**changes))

    async def start(self, **changes: Any) -> str:
        request = msgspec.structs.replace(self.request, **changes)
        return (await self.engine.start(request, user="admin")).id

    async def ended(self, migration: str) -> None:
        while self.engine.report(migration).finished is None:
            await self.engine._journals[migration].changed()

    async def ended_well(self, migration: str) -> None:
        await self.engine.outcome(migration)
        await self.ended(migration)

    def named(self, migration: str) -> list[str]:
        """The names of the facts, phases by their own."""
        return [str(getattr(each.event, "phase", type(each.event).__name__)) for each in self.engine.events(migration)]

    def codes(self, migration: str) -> list[str]:
        return [warning.code for warning in self.engine.report(migration).warnings]


Play = Callable[[Callable[[Scene], Awaitable[Any]]], Any]


@pytest.fixture
def play() -> Play:
    """Run ``body(scene)`` on a virtual loop, and close the engine after it."""

    def run(body: Callable[[Scene], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            scene = Scene()
            await scene.engine.open()
            try:
                return await body(scene)
            finally:
                await scene.engine.close()

        return run_virtual(whole())

    return run


def calls_of_a_migration() -> Iterator[tuple[str, int]]:
    """Every call that a plain migration makes on its pools from its start until it ended, in order."""

    async def body() -> list[str]:
        scene = Scene()
        await scene.engine.open()
        migration = await scene.start()
        scene.world.trace.append("started")
        await scene.engine.outcome(migration)
        await scene.ended(migration)
        await scene.engine.close()
        return [call for call in scene.world.trace if call.partition(".")[2] not in _AFTER_ITS_END]

    counts: dict[str, int] = {}
    after_start = False
    for call in run_virtual(body()):
        counts[call] = counts.get(call, 0) + 1
        after_start = after_start or call == "started"
        if after_start and call != "started":
            yield call, counts[call]


def some(points: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of each call the first, and every third of the others: neighbours mostly find the same. All with XO_WARMIG_SWEEP=all."""
    kept = [point for place, point in enumerate(points) if point[1] == 1 or place % 3 == 0]
    return list(points) if SWEEP == "all" else kept


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take ``point`` run for calls of a migration."""
    if "point" in metafunc.fixturenames:
        points = some(list(calls_of_a_migration()))
        metafunc.parametrize("point", points, ids=[f"{call}-{nth}" for call, nth in points])
