"""Every call of a migration fails once, before and after its effect, by refusal and by a pool that does not answer: the source
always comes out as it was, or the target runs; nothing of ours is forgotten."""

import asyncio
import contextlib
from typing import Any

import pytest

from xo_warmig.errors import PoolUnreachable, WarmigError
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState

KINDS = ["refused", "unreachable", "answer lost"]


async def migrate_with_fault(scene: Any, point: tuple[str, int], kind: str, **changes: Any) -> Any:
    """Run into the fault; the report at the end."""
    call, nth = point
    error = (
        scene.world.refusal()
        if kind == "refused"
        else PoolUnreachable("no answer", evidence={"pool": call.partition(".")[0], "host": "example"})
    )
    scene.world.fail(call, nth, error=error, after=kind == "answer lost")
    migration = await scene.start(**changes)
    with contextlib.suppress(WarmigError):
        await scene.engine.outcome(migration)
    while scene.engine.report(migration).phase not in (Phase.DONE, Phase.FAILED, Phase.AWAITING_COMMIT):
        await asyncio.sleep(0.5)
    return scene.engine.report(migration)


@pytest.mark.parametrize("kind", KINDS)
def test_one_failed_call_never_costs_the_vm(play: Any, point: tuple[str, int], kind: str) -> None:
    """Whatever fails: one of the two runs, never both, with equal disks where it is the target, and nothing is left over."""

    async def body(scene: Any) -> None:
        world = scene.world
        report = await migrate_with_fault(scene, point, kind, on_failure=OnFailure.DROP)
        world.assert_quiet()
        if report.phase is Phase.FAILED:
            world.assert_as_found()
            world.assert_nothing_left()
        else:
            assert world.the_target().power is PowerState.RUNNING
            assert world.vm.power is PowerState.HALTED
            world.assert_equal()
            left = scene.engine._journals[report.id].state.left
            assert {each.uuid for each in world.our_snapshots()} <= {each.uuid for each in left}

    play(body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_retry_after_any_failed_call_works(play: Any, point: tuple[str, int], kind: str) -> None:
    """The copy is kept, the next attempt takes it over, ends with equal disks, and nothing of either is left."""

    async def body(scene: Any) -> None:
        world = scene.world
        report = await migrate_with_fault(scene, point, kind)
        if report.phase is not Phase.FAILED:
            return
        world.assert_as_found()
        assert len(world.our_snapshots()) <= 2
        await scene.ended_well(await scene.start())
        world.assert_equal()
        world.assert_quiet()
        assert world.our_snapshots() == []
        assert len(world.target.vms) == 1
        assert len(world.target.vdis) == 2

    play(body)
