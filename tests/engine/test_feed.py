"""Readers of the feed: none costs another anything, and a slow one gets the latest."""

import asyncio
from typing import Any

import msgspec

from tests.engine.world import World
from xo_warmig.engine.feed import MOST_PENDING, Feed, Notice
from xo_warmig.engine.reports import make_report
from xo_warmig.engine.state import MigrationState
from xo_warmig.model.events import CancelAsked
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest


def a_report(migration: str, progress: float) -> MigrationReport:
    """A report of nothing but its id and progress."""
    world = World()
    vm = world.source.record(world.vm)
    plan = MigrationPlan(
        vm=vm, source_pool="a", source_pool_name="a", target_pool="b", target_pool_name="b", srs={}, networks={}, zeroed_srs=[]
    )  # fmt: skip
    request = WarmMigrationRequest(vm="vm-1", sr="sr", start_destination_vm=True, delete_source_vm=False)
    state = MigrationState(id=migration, created=0.0, request=request, user="admin", plan=plan)
    return make_report(state, None, progress, None)


async def take(notices: Any, count: int) -> list[Notice]:
    """The next ``count`` notices."""
    return [await anext(notices) for _ in range(count)]


async def test_progress_coalesces_for_a_slow_reader() -> None:
    """Only the latest of each migration is waiting."""
    feed = Feed()
    async with feed.watch() as notices:
        for step in range(1000):
            for migration in ("one", "two"):
                feed.publish(Notice(report=a_report(migration, 0.5) if step == 999 else FIRST[migration], event=None))
        taken = await take(notices, 2)
        assert {(each.report.id, each.report.progress) for each in taken} == {("one", 0.5), ("two", 0.5)}


FIRST = {migration: a_report(migration, 0.1) for migration in ("one", "two")}


async def test_facts_stay_in_order() -> None:
    """And progress before them is not told after them."""
    feed = Feed()
    async with feed.watch() as notices:
        feed.publish(Notice(report=FIRST["one"], event=None))
        for _ in range(3):
            feed.publish(Notice(report=FIRST["one"], event=CancelAsked()))
        assert [each.event for each in await take(notices, 3)] == [CancelAsked()] * 3
        waiting = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_a_reader_far_behind_still_gets_the_latest_report_of_each() -> None:
    """The oldest facts are lost, no migration is."""
    feed = Feed()
    async with feed.watch() as notices:
        feed.publish(Notice(report=FIRST["two"], event=CancelAsked()))
        for _ in range(MOST_PENDING + 100):
            feed.publish(Notice(report=FIRST["one"], event=CancelAsked()))
        taken = await take(notices, MOST_PENDING + 1)
        assert {each.report.id for each in taken} == {"one", "two"}
        assert taken[-1] == Notice(report=FIRST["two"], event=None)


async def test_a_reader_that_left_is_forgotten() -> None:
    """Nothing piles up for it."""
    feed = Feed()
    async with feed.watch():
        pass
    feed.publish(Notice(report=FIRST["one"], event=None))
    assert not feed._readers


def test_a_notice_is_json() -> None:
    """It goes out to clients as it is."""
    notice = Notice(report=FIRST["one"], event=CancelAsked())
    assert msgspec.json.decode(msgspec.json.encode(notice), type=Notice) == notice
