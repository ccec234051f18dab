"""Storage that is behind with merging what snapshots left is waited for before there is another one (R19)."""

import asyncio
from typing import Any

from xo_warmig.model.events import WaitingChanged
from xo_warmig.model.phases import Phase, WaitingFor

MINUTE = 60.0


def test_no_snapshot_is_taken_before_the_storage_has_caught_up(play: Any) -> None:
    """And it says what it waits for."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.source.coalesces_until = behind_until = asyncio.get_running_loop().time() + 5 * MINUTE
        migration = await scene.start()
        while "source.snapshot_disk" not in world.trace:
            await asyncio.sleep(1)
        assert behind_until <= asyncio.get_running_loop().time() <= behind_until + MINUTE
        await scene.engine.outcome(migration)
        await scene.ended(migration)
        report = scene.engine.report(migration)
        assert report.phase is Phase.DONE
        assert report.warnings == []
        waits = [each.event for each in scene.engine.events(migration) if isinstance(each.event, WaitingChanged)]
        assert waits[0].waiting_for is WaitingFor.STORAGE
        assert "coalesced" in waits[0].reason

    play(body)


def test_storage_that_never_catches_up_is_told_and_not_waited_for_without_end(play: Any) -> None:
    """A chain that grows too long stops it still."""

    async def body(scene: Any) -> None:
        scene.world.source.coalesces_until = float("inf")
        migration = await scene.start()
        await scene.engine.outcome(migration)
        await scene.ended(migration)
        report = scene.engine.report(migration)
        assert report.phase is Phase.DONE
        assert {each.code for each in report.warnings} >= {"COALESCING_BEHIND"}

    play(body)


def test_a_cancel_does_not_wait_for_the_storage(play: Any) -> None:
    async def body(scene: Any) -> None:
        scene.world.source.coalesces_until = float("inf")
        migration = await scene.start()
        await asyncio.sleep(MINUTE)
        asked = asyncio.get_running_loop().time()
        await scene.engine.cancel(migration)
        await scene.ended(migration)
        report = scene.engine.report(migration)
        assert report.phase is Phase.CANCELLED
        assert asyncio.get_running_loop().time() - asked < MINUTE
        assert scene.world.our_snapshots() == []

    play(body)
