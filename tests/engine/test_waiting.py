"""What a migration says that it waits for, while its copies wait."""

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import Scene
from xo_warmig.engine.final_again import MOST_FINAL_PASSES
from xo_warmig.errors import PoolUnreachable, TransferError, WarmigError
from xo_warmig.model.events import WaitingChanged
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.vm import PowerState


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


async def waiting_halted(scene: Scene) -> str:
    """The migration of a halted VM whose pool does not come back."""
    scene.world.vm.power = PowerState.HALTED
    scene.world.always["source.open_export"] = PoolUnreachable("the host of its disks is down")
    migration = await scene.start()
    await asyncio.sleep(200)
    return migration


def test_a_halted_vm_s_only_pass_begins_again_when_the_pool_is_back(play: Any) -> None:
    """All of it is sent again (R22), however often that was tried in vain; and a word ends the wait."""

    async def body(scene: Scene) -> None:
        migration = await waiting_halted(scene)
        report = scene.engine.report(migration)
        assert (report.phase, report.waiting_for) == (Phase.FINALISING, WaitingFor.POOL)
        assert len(report.passes) > MOST_FINAL_PASSES
        del scene.world.always["source.open_export"]
        await scene.ended_well(migration)
        assert scene.engine.report(migration).waiting_for is WaitingFor.NOTHING
        scene.world.assert_quiet()
        scene.world.assert_equal()

    play(body)


@pytest.mark.parametrize(
    ("error", "passes"),
    [(PoolUnreachable("the host of its disks is down"), 60), (TransferError("it broke"), MOST_FINAL_PASSES)],
)
def test_a_halted_vm_s_pass_is_not_tried_for_ever(play: Any, error: WarmigError, passes: int) -> None:
    """An hour of a pool that is away, or three breaks of another kind."""

    async def body(scene: Scene) -> None:
        scene.world.vm.power = PowerState.HALTED
        scene.world.always["source.open_export"] = error
        migration = await scene.start()
        await scene.ended(migration)
        report = scene.engine.report(migration)
        assert report.phase is Phase.FAILED
        assert len(report.passes) == pytest.approx(passes, rel=0.4)
        assert scene.world.vm.blocked == {}

    play(body)


def test_who_waits_for_a_halted_vm_s_pool_can_be_cancelled(play: Any) -> None:
    """The source is as it was."""

    async def body(scene: Scene) -> None:
        migration = await waiting_halted(scene)
        await asyncio.wait_for(scene.engine.cancel(migration), 30)
        assert scene.engine.report(migration).phase is Phase.CANCELLED
        assert scene.world.vm.blocked == {}

    play(body)
