"""The rows beside the facts say what the facts say, at every point of a migration."""

import asyncio

import pytest
from sqlalchemy import select

from tests.engine.store.facts import planned
from xo_warmig.engine.fold import apply
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.engine.store.tables import disks, migrations, passes
from xo_warmig.model.events import CopyAdopted, CopyReleased, RecordedEvent, TargetDiskDestroyed
from xo_warmig.model.plans import KeptDisk, TargetDisk


def assert_rows_say(database: Database, state: MigrationState) -> None:
    with database.reading() as connection:
        row = connection.execute(select(migrations)).one()
        disk_rows = {each.disk: each for each in connection.execute(select(disks))}
        pass_rows = connection.execute(select(passes).order_by(passes.c.number)).all()
    assert (row.vm, row.vm_name, row.user) == (state.plan.vm.uuid, state.plan.vm.name_label, state.user)
    assert (row.phase, row.created, row.finished) == (state.phase, state.created, state.finished)
    assert row.target_vm == state.target_vm
    assert row.error == (None if state.error is None else state.error["code"])
    assert disk_rows.keys() == {disk.vdi for disk in state.plan.vm.disks}
    for disk, each in disk_rows.items():
        target = state.target_disks.get(disk)
        assert each.target_vdi == (None if target is None else target.vdi)
        assert each.base == (None if target is None else target.base)
        assert each.virtual_size_bytes > 0
    done = [each for each in pass_rows if each.verdict is not None]
    assert [(each.number, each.kind, each.verdict, each.seconds, each.bytes) for each in done] == [
        (each.number, each.kind, each.verdict, each.seconds, each.bytes) for each in state.passes
    ]
    started = 0 if state.pass_plan is None else state.pass_plan.number
    assert [each.number for each in pass_rows] == list(range(1, started + 1))


@pytest.mark.parametrize("which", ["good_facts", "failed_facts"])
def test_rows_follow_the_facts(database: Database, which: str, request: pytest.FixtureRequest) -> None:
    """After every single fact."""
    asyncio.run(follow(database, request.getfixturevalue(which), fails=which == "failed_facts"))


async def follow(database: Database, facts: list[RecordedEvent], *, fails: bool) -> None:
    store = DatabaseStore(database)
    state: MigrationState | None = None
    for each in facts:
        (recorded,) = await store.append("m", each.time, [each.event])
        state = apply(state, recorded)
        assert_rows_say(database, state)
    assert state is not None
    assert state.ended
    assert (state.error is not None) is fails
    assert len(state.passes) > 1


async def test_a_copy_changes_hands(database: Database) -> None:
    """What was taken over, and what was lost of it."""
    store = DatabaseStore(database)
    kept = [
        KeptDisk(disk=f"disk-{n}", virtual_size_bytes=1, target=TargetDisk(vdi=f"t-{n}", sr="s", base=f"snapshot-{n}"))
        for n in range(2)
    ]
    state: MigrationState | None = None
    for fact in (
        planned(),
        CopyAdopted(earlier="e", disks=kept),
        TargetDiskDestroyed(vdi="t-1"),
        CopyReleased(to=None),
        CopyReleased(to="later"),
    ):
        (recorded,) = await store.append("m", 1.0, [fact])
        state = apply(state, recorded)
        assert_rows_say(database, state)
