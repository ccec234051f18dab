"""What a migration says that it waits for, while its copies wait."""

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import Scene
from xo_warmig.errors import PoolUnreachable
from xo_warmig.model.events import WaitingChanged
from xo_warmig.model.phases import WaitingFor


def waits_of(scene: Scene, migration: str) -> list[WaitingFor]:
    return [each.event.waiting_for for each in scene.engine.events(migration) if isinstance(each.event, WaitingChanged)]


@pytest.mark.parametrize("call", ["source.open_export", "target.open_import"])
def test_a_pool_that_is_away_in_the_full_copy_is_what_it_waits_for(play: Any, call: str) -> None:
    """From the first try in vain until both ends stand open, told once however many tries there are."""

    async def body(scene: Scene) -> None:
        scene.world.always[call] = PoolUnreachable("the host of its disks is down")
        migration = await scene.start()
        await asyncio.sleep(200)
        report = scene.engine.report(migration)
        assert report.waiting_for is WaitingFor.POOL
        assert scene.world.counts[call] > 4
        del scene.world.always[call]
        await scene.ended_well(migration)
        assert waits_of(scene, migration) == [WaitingFor.POOL, WaitingFor.NOTHING]
        scene.world.assert_quiet()
        scene.world.assert_equal()

    play(body)
