"""A cancel at every call, and between them: the source as found, all disks free, nothing left when nothing is to be kept."""

import asyncio
from typing import Any

import pytest

from xo_warmig.errors import Cancelled, IncorrectState
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState


async def cancel_at(scene: Any, point: tuple[str, int], *, after: bool, **changes: Any) -> tuple[str, bool]:
    """Cancel while a call runs; the migration, and whether the cancel was accepted."""
    asked: list[asyncio.Task[None]] = []
    call, nth = point
    ids: list[str] = []
    scene.world.fail(
        call, nth, after=after, hook=lambda: asked.append(asyncio.create_task(scene.engine.cancel(ids[0])))
    )
    ids.append(await scene.start(**changes))
    await scene.ended(ids[0])
    try:
        await asked[0]
    except IncorrectState as late:
        assert late.code == "TOO_LATE_TO_CANCEL"  # noqa: PT017
        return ids[0], False
    return ids[0], True


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cancel_at_any_call_gives_the_source_back(play: Any, point: tuple[str, int], after: bool) -> None:
    """Accepted: cancelled, the source as found and nothing left. Too late: the migration ends as if nobody had asked."""

    async def body(scene: Any) -> None:
        migration, accepted = await cancel_at(scene, point, after=after, on_failure=OnFailure.DROP)
        if accepted:
            assert scene.engine.report(migration).phase is Phase.CANCELLED
            await asyncio.sleep(60)  # a shutdown that was under way may still take effect, and is made good
            scene.world.assert_as_found()
            scene.world.assert_nothing_left()
        else:
            assert scene.engine.report(migration).phase is Phase.DONE
            scene.world.assert_equal()
            scene.world.assert_quiet()

    play(body)


def test_a_kept_copy_of_a_cancelled_migration_is_gone_on_with(play: Any, point: tuple[str, int]) -> None:
    """The next attempt ends with equal disks and one copy."""

    async def body(scene: Any) -> None:
        _, accepted = await cancel_at(scene, point, after=False)
        if not accepted:
            return
        await asyncio.sleep(60)
        scene.world.assert_as_found()
        await scene.ended_well(await scene.start())
        scene.world.assert_equal()
        scene.world.assert_quiet()
        assert scene.world.our_snapshots() == []
        assert len(scene.world.target.vdis) == 2

    play(body)


@pytest.mark.parametrize("moment", [round(0.013 * step, 3) for step in range(1, 140, 3)])
def test_a_cancel_at_any_time_gives_the_source_back(play: Any, moment: float) -> None:
    """Not only at calls: in the middle of a copy and of a shutdown too."""

    async def body(scene: Any) -> None:
        migration = await scene.start(on_failure=OnFailure.DROP)
        await asyncio.sleep(moment)
        await scene.engine.cancel(migration)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        await asyncio.sleep(60)
        scene.world.assert_as_found()
        scene.world.assert_nothing_left()

    play(body)


def test_a_cancelled_migration_raises_cancelled_to_its_callers(play: Any) -> None:
    """Who waits for the outcome learns of it."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        waiting = asyncio.create_task(scene.engine.outcome(migration))
        await asyncio.sleep(0.3)
        await scene.engine.cancel(migration)
        with pytest.raises(Cancelled):
            await waiting

    play(body)


def test_a_second_cancel_is_the_first(play: Any) -> None:
    """Both return when it is cancelled, and a third later at once."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await asyncio.sleep(0.3)
        await asyncio.gather(scene.engine.cancel(migration), scene.engine.cancel(migration))
        await scene.engine.cancel(migration)
        assert scene.named(migration).count("CancelAsked") == 1

    play(body)


def test_a_cancel_before_anything_was_done_touches_nothing(play: Any) -> None:
    """From planned straight to cancelled."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        scene.world.trace.clear()
        await scene.engine.cancel(migration)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        assert scene.world.trace == []

    play(body)


def test_a_finished_migration_cannot_be_cancelled(play: Any) -> None:
    """IncorrectState names the phase."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        with pytest.raises(IncorrectState) as refused:
            await scene.engine.cancel(migration)
        assert refused.value.evidence["actual"] == "done"

    play(body)


def test_a_guest_that_halts_long_after_a_cancelled_shutdown_is_started_again(play: Any) -> None:
    """R7: the watch goes on for an hour."""

    async def body(scene: Any) -> None:
        scene.world.shutdown_seconds = 500.0
        migration = await scene.start()
        while "ShutdownAsked" not in scene.named(migration):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        await scene.engine.cancel(migration)
        assert scene.world.vm.power is PowerState.RUNNING
        await asyncio.sleep(600)
        assert scene.world.vm.power is PowerState.RUNNING
        assert scene.world.vm.blocked == {}
        assert "SourceStarted" in scene.named(migration)

    play(body)


def test_the_watch_over_a_late_halt_ends(play: Any) -> None:
    """After the hour its owner may shut it down for good."""

    async def body(scene: Any) -> None:
        scene.world.shutdown_seconds = 500.0
        migration = await scene.start()
        while "ShutdownAsked" not in scene.named(migration):
            await asyncio.sleep(0.1)
        await scene.engine.cancel(migration)
        await asyncio.sleep(600)
        assert scene.world.vm.power is PowerState.RUNNING
        await asyncio.sleep(3200)
        scene.world.vm.power = PowerState.HALTED
        await asyncio.sleep(100)
        assert scene.world.vm.power is PowerState.HALTED

    play(body)
