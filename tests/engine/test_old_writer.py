"""R16: a writer of an earlier process that does not let go of a target disk: the next process goes on with a clone."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import REQUEST
from tests.engine.lives import Lives
from tests.engine.test_lives import ended
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import OnFailure
from xo_warmig.model.vm import PowerState


async def begun_and_killed(seconds: float, **changes: Any) -> tuple[Lives, str, list[Any]]:
    """A migration whose process died after so long, or as soon as it wrote, and its imports, which nothing ends."""
    lives = Lives(World())
    await lives.engine.open()
    request = msgspec.structs.replace(REQUEST, **changes)
    migration = (await lives.engine.start(request, user="admin")).id
    await asyncio.sleep(seconds)
    while not lives.world.target.ends:  # until there is somebody who writes
        await asyncio.sleep(0.02)
    held: list[Any] = list(lives.world.target.ends)
    for end in held:
        end.clings = True
    lives.die()
    await asyncio.sleep(5)
    return lives, migration, held


def writes_on(held: list[Any]) -> None:
    """What the old process had sent arrives at last."""
    for end in held:
        end.write(3, 666)
        end.write(60, 667)


def let_go(held: list[Any]) -> None:
    for end in held:
        end.clings = False
        end.gone()


@pytest.mark.parametrize("seconds", [0.6, 0.9, 1.25])
@pytest.mark.parametrize("frees", [False, True], ids=["for ever", "in the end"])
def test_the_next_process_goes_on_with_clones(seconds: float, frees: bool) -> None:
    """The target has what the source had, whatever the old writer still writes; its disk goes when it is free, else it is listed."""

    async def body() -> None:
        lives, migration, held = await begun_and_killed(seconds, commit="manual")
        world = lives.world
        old = {end.vdi.uuid for end in held}
        engine = await lives.next()
        async with asyncio.timeout(4000):
            while not old.isdisjoint(world.the_target().vdis):
                await asyncio.sleep(0.1)
        writes_on(held)
        report = await ended(lives, migration)
        assert report.phase is Phase.AWAITING_COMMIT, report.error
        assert "DISK_REPLACED" in [warning.code for warning in report.warnings]
        assert world.violations == []
        assert world.the_target().power is PowerState.RUNNING
        world.assert_equal()
        assert old <= set(world.target.vdis)
        if frees:
            let_go(held)
        await engine.commit(migration)
        assert engine.report(migration).phase is Phase.DONE
        mine = set(world.the_target().vdis)
        assert set(world.target.vdis) == (mine if frees else mine | old)
        if not frees:
            assert {each.uuid for each in engine._journals[migration].state.left} == old
            let_go(held)
            swept = await engine.sweep(remove=True)
            assert {each.object.uuid for each in swept.objects} == old
            assert set(world.target.vdis) == mine

    run_virtual(body())


def test_a_cancel_after_it_leaves_only_what_is_held() -> None:
    """The source runs as before; of the copy there is the old writer's disk, which is told, and nothing else."""

    async def body() -> None:
        lives, migration, held = await begun_and_killed(0.9, on_failure=OnFailure.DROP, cutover="hold")
        world = lives.world
        old = {end.vdi.uuid for end in held}
        engine = await lives.next()
        async with asyncio.timeout(4000):
            while engine.report(migration).phase is not Phase.HOLDING:
                await asyncio.sleep(0.1)
        await engine.cancel(migration)
        assert world.violations == []
        assert world.vm.power is PowerState.RUNNING
        assert world.vm.blocked == {}
        assert world.target.vms == {}
        assert world.our_snapshots() == []
        assert set(world.target.vdis) == old
        assert {each.uuid for each in engine._journals[migration].state.left} == old

    run_virtual(body())
