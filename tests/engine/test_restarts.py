"""A pool's toolstack is killed at any call and comes back: whatever the call, the migration goes on to its end."""

import asyncio
from typing import Any

import pytest

from xo_warmig.errors import PoolUnreachable
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState

DOWN_SECONDS = 5.0


async def meet_a_restart(scene: Any, point: tuple[str, int], side: str, *, after: bool, **changes: Any) -> Any:
    """The report at the end."""
    world = scene.world
    call, nth = point
    away = PoolUnreachable(f"pool {side} does not answer", evidence={"pool": side, "host": side})
    struck = []

    def hook() -> None:
        struck.append(True)
        world.restart(side, DOWN_SECONDS)

    world.fail(call, nth, after=after, hook=hook, error=away if call.startswith(side) else None)
    migration = await scene.start(**changes)
    async with asyncio.timeout(4000):
        while (report := scene.engine.report(migration)).finished is None and report.phase is not Phase.AWAITING_COMMIT:
            await asyncio.sleep(0.5)
    assert struck, "the point was not reached"
    return report


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_restarted_toolstack_is_survived(play: Any, point: tuple[str, int], side: str, after: bool) -> None:
    """Tasks and sessions are gone, disks are left attached: it is waited for, cleaned up after, and gone on with."""

    async def body(scene: Any) -> None:
        world = scene.world
        report = await meet_a_restart(scene, point, side, after=after)
        assert report.phase is Phase.DONE, (report.error, report.warnings)
        world.assert_quiet()
        assert world.the_target().power is PowerState.RUNNING
        assert world.vm.power is PowerState.HALTED
        world.assert_equal()
        assert world.our_snapshots() == []
        assert world.source.foreign == []
        assert world.target.foreign == []

    play(body)


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_way_back_survives_it_too(play: Any, side: str) -> None:
    """At each of its calls."""

    async def body(scene: Any) -> list[str]:
        world = scene.world
        world.always["target.apply_volatile_state"] = world.refusal("OPERATION_NOT_ALLOWED")
        migration = await scene.start(on_failure=OnFailure.DROP)
        await scene.ended(migration)
        assert scene.engine.report(migration).phase is Phase.FAILED
        return list(world.trace)

    trace = play(body)
    begin = max(nth for nth, call in enumerate(trace) if call == "target.apply_volatile_state")
    counts: dict[str, int] = {}
    points = []
    for nth, call in enumerate(trace):
        counts[call] = counts.get(call, 0) + 1
        if nth > begin and not call.startswith("store"):
            points.append((call, counts[call]))
    assert len(points) >= 15

    async def back(scene: Any, point: tuple[str, int]) -> None:
        world = scene.world
        world.always["target.apply_volatile_state"] = world.refusal("OPERATION_NOT_ALLOWED")
        report = await meet_a_restart(scene, point, side, after=False, on_failure=OnFailure.DROP)
        assert report.phase is Phase.FAILED, point
        world.assert_as_found()
        world.assert_nothing_left()
        assert world.source.foreign == [], point
        assert world.target.foreign == [], point

    for point in points:
        play(lambda scene, point=point: back(scene, point))
