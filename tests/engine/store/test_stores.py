"""What every store keeps: in memory and in a database."""

import asyncio
from pathlib import Path

import pytest

from tests.engine.store.facts import planned
from xo_warmig.engine.store import MemoryStore, Store
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.errors import SafetyError
from xo_warmig.model.events import CancelAsked, Event, RecordedEvent, TargetDiskCreated, TargetPrepared
from xo_warmig.model.passes import Mark, SentPiece


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest, database: Database) -> Store:
    """Each kind in turn."""
    return MemoryStore() if request.param == "memory" else DatabaseStore(database)


async def test_facts_are_numbered_from_one_and_stay_in_order(store: Store) -> None:
    """Those of each migration by themselves; what append returns is what is found."""
    first = await store.append("a", 1.5, [planned(), CancelAsked()])
    other = await store.append("b", 2.0, [planned("somebody")])
    third = await store.append("a", 3.0, [TargetPrepared()])
    assert [(each.migration, each.number, each.time) for each in first + third] == [
        ("a", 1, 1.5),
        ("a", 2, 1.5),
        ("a", 3, 3.0),
    ]
    assert store.events("a") == first + third
    assert store.events("b") == other
    assert store.events("c") == []
    assert store.migrations() == ["a", "b"]


async def test_appends_at_the_same_time_keep_their_order(store: Store) -> None:
    """None waits for the one before."""
    await store.append("a", 0.0, [planned()])
    facts: list[Event] = [TargetDiskCreated(disk=f"disk-{n}", vdi=f"vdi-{n}", sr="sr") for n in range(50)]
    await asyncio.gather(*(store.append("a", float(n), [fact]) for n, fact in enumerate(facts)))
    assert [each.event for each in store.events("a")[1:]] == facts
    assert [each.number for each in store.events("a")] == list(range(1, 52))


async def test_a_whole_migration_is_found_again(
    store: Store, good_facts: list[RecordedEvent], failed_facts: list[RecordedEvent]
) -> None:
    """Facts of all kinds that the engine writes, in one go and one by one."""
    for fails, facts in enumerate((good_facts, failed_facts)):
        await store.append(f"whole {fails}", 1.0, [each.event for each in facts])
        for each in facts:
            await store.append(f"single {fails}", each.time, [each.event])
        assert [each.event for each in store.events(f"whole {fails}")] == [each.event for each in facts]
        assert [each.time for each in store.events(f"single {fails}")] == [each.time for each in facts]


async def test_pending_blocks_are_the_last_that_were_put(store: Store) -> None:
    """By migration and disk."""
    for migration in ("a", "b"):
        await store.append(migration, 0.0, [planned()])
    assert store.pending("a", "disk-0") is None
    await store.put_pending("a", "disk-0", b"\x00\xff" * 1000)
    await store.put_pending("a", "disk-0", b"second\x00")
    await store.put_pending("a", "a disk added later", b"x")
    assert store.pending("a", "disk-0") == b"second\x00"
    assert store.pending("a", "a disk added later") == b"x"
    assert store.pending("a", "disk-1") is None
    assert store.pending("b", "disk-0") is None
    await store.put_pending("a", "disk-0", None)
    assert store.pending("a", "disk-0") is None


async def test_pending_blocks_of_a_migration_are_forgotten_all_at_once(store: Store) -> None:
    """And of no other."""
    for migration in ("a", "b"):
        await store.append(migration, 0.0, [planned()])
        for disk in ("disk-0", "disk-1"):
            await store.put_pending(migration, disk, b"blocks")
    await store.forget_pending("a")
    assert [store.pending("a", disk) for disk in ("disk-0", "disk-1")] == [None, None]
    assert [store.pending("b", disk) for disk in ("disk-0", "disk-1")] == [b"blocks", b"blocks"]


async def test_a_mark_belongs_to_its_pass(store: Store) -> None:
    """The last one of a disk is kept, and is not returned for another pass."""
    await store.append("a", 0.0, [planned()])
    piece = SentPiece(offset=(1 << 41) - 65536, length=65536, xxh3=(1 << 64) - 1)
    first, second = Mark(confirmed=65536, sent=1 << 41, tail=[piece]), Mark(confirmed=1, sent=2)
    assert store.mark("a", "disk-0", 1) is None
    await store.put_mark("a", "disk-0", 1, first)
    assert store.mark("a", "disk-0", 1) == first
    assert store.mark("a", "disk-0", 2) is None
    assert store.mark("a", "disk-1", 1) is None
    await store.put_mark("a", "disk-0", 2, second)
    assert (store.mark("a", "disk-0", 1), store.mark("a", "disk-0", 2)) == (None, second)
    await store.put_mark("a", "disk-0", 2, None)
    assert store.mark("a", "disk-0", 2) is None


async def test_everything_is_there_in_another_process(tmp_path: Path, good_facts: list[RecordedEvent]) -> None:
    """Here: in another opening, which goes on with the numbers."""
    database = Database(url_in(tmp_path))
    store = DatabaseStore(database)
    await store.append("z", 0.0, [planned()])
    await store.append("a", 1.0, [each.event for each in good_facts])
    await store.put_pending("a", "disk-0", b"blocks")
    await store.put_mark("a", "disk-1", 3, Mark(sent=7))
    database.close()

    database = Database(url_in(tmp_path))
    again = DatabaseStore(database)
    assert again.migrations() == ["z", "a"]
    assert [each.event for each in again.events("a")] == [each.event for each in good_facts]
    assert (again.pending("a", "disk-0"), again.mark("a", "disk-1", 3)) == (b"blocks", Mark(sent=7))
    (recorded,) = await again.append("a", 2.0, [CancelAsked()])
    assert recorded.number == len(good_facts) + 1
    database.close()


async def test_a_second_writer_is_kept_out(tmp_path: Path, database: Database) -> None:
    """Once another wrote facts, this one writes none of that migration any more, whatever it tries (R16)."""
    store = DatabaseStore(database)
    await store.append("a", 0.0, [planned()])
    await store.append("b", 0.0, [planned()])
    other = Database(url_in(tmp_path))
    await DatabaseStore(other).append("a", 1.0, [CancelAsked()])
    for _ in range(2):
        with pytest.raises(SafetyError) as refused:
            await store.append("a", 2.0, [TargetPrepared(), CancelAsked()])
        assert (refused.value.code, refused.value.evidence["rule"]) == ("TWO_WRITERS", "R16")
    await store.append("b", 2.0, [TargetPrepared()])
    assert [each.event for each in store.events("a")] == [planned(), CancelAsked()]
    other.close()


async def test_facts_that_fail_leave_nothing(database: Database) -> None:
    """Neither rows nor a gap in the numbers."""
    store = DatabaseStore(database)
    with pytest.raises(ValueError, match="not Planned"):
        await store.append("a", 0.0, [CancelAsked()])
    await store.append("a", 0.0, [planned()])
    unwritable = TargetDiskCreated(disk="\ud800", vdi="", sr="")  # no UTF-8
    with pytest.raises(UnicodeEncodeError):
        await store.append("a", 1.0, [TargetPrepared(), unwritable])
    (recorded,) = await store.append("a", 2.0, [CancelAsked()])
    assert recorded.number == 2
    assert store.migrations() == ["a"]
    assert [each.event for each in store.events("a")] == [planned(), CancelAsked()]
