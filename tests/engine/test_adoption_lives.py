"""The process dies while a retry takes over what an earlier attempt left: the next one goes on with the same disks where it can."""

import asyncio
import itertools

import pytest

from tests.engine.conftest import REQUEST
from tests.engine.lives import Lives
from tests.engine.test_lives import ended
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.model.events import CopyReleased, TargetDiscarded
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import Phase


async def kept_copy(world: World) -> tuple[Lives, str]:
    """Complete passes, and a break at the very end."""
    lives = Lives(world)
    await lives.engine.open()
    world.fail("target.apply_volatile_state", error=world.refusal())
    migration = (await lives.engine.start(REQUEST, user="admin")).id
    assert (await ended(lives, migration)).phase is Phase.FAILED
    return lives, migration


async def struck_at(nth: int, *, after: bool) -> bool:
    """A retry whose process dies at its ``nth`` record, and the next process to its end; whether it died before it had taken over."""
    world = World()
    lives, earlier = await kept_copy(world)
    kept, shell = set(world.target.vdis), world.the_target().uuid
    life = lives.number
    world.fail("store.append", world.counts["store.append"] + nth, after=after, hook=lives.die, kills=True)
    retry = (await lives.engine.start(REQUEST, user="admin")).id
    async with asyncio.timeout(4000):
        while lives.number == life:
            await asyncio.sleep(0.1)
    await asyncio.sleep(5)
    facts = [type(each.event) for each in lives.store.events(earlier)]
    # Where its VM went without a record, nobody can say whether it ran before that.
    in_doubt = shell not in world.target.vms and TargetDiscarded not in facts
    await lives.next()
    report = await ended(lives, retry)
    assert report.phase is Phase.DONE, (report.error, report.warnings)
    assert (set(world.target.vdis) == kept) is not in_doubt
    assert report.passes[0].kind is (PassKind.FULL if in_doubt else PassKind.DELTA)
    world.assert_quiet()
    assert world.our_snapshots() == []
    return CopyReleased not in facts


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_retry_that_dies_while_it_takes_over_goes_on_with_the_same_disks(after: bool) -> None:
    """Also where it died between its own record of that and the earlier attempt's."""
    struck = itertools.takewhile(
        lambda nth: run_virtual(struck_at(nth, after=after)), itertools.count(2)
    )  # the first record is the start itself, which nobody was answered
    assert len(list(struck)) >= 3
