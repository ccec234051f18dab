"""Tasks that show migrations: found again, told, cancelled by others, ended and taken away, on pools of any release."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.model.pool_tasks import PoolTask, TaskEnd, TaskSeen, description_of, label_of, migration_of
from xo_warmig.xapi.migration_tasks import MigrationTasks
from xo_warmig.xapi.pool import Pool

LATEST = (2, 21)


def wanted(name: str = 'the "web"\\1', migration: str = "m-1", vm: str = "") -> PoolTask:
    return PoolTask(migration=migration, label=label_of(name), description=description_of(migration, "a", "b"), vm=vm)


@pytest.fixture
def shown(pool: Any) -> MigrationTasks:
    """On a pool that makes tasks as XAPI does."""
    empty = {"status": "pending", "progress": 0.0, "error_info": [], "current_operations": {}}
    pool.handlers["task.create"] = lambda label, description: pool.add(
        "task", name_label=label, name_description=description, **empty
    )
    return MigrationTasks(pool, LATEST)


def record(pool: Any) -> dict[str, Any]:
    (found,) = pool.records["task"].values()
    return dict(found)


def test_the_description_names_the_migration() -> None:
    """Whatever the pools are called."""
    assert migration_of(description_of("m-1", "a: b", "xo_warmig migration x: ")) == "m-1"
    assert migration_of("xo_warmig import") is None


async def test_it_is_made_once_and_bears_our_tags(
    pool: Any, shown: MigrationTasks, make_vm: Callable[..., str]
) -> None:
    """Its own uuid among them (R11), and the reference of the VM for XO and XenCenter."""
    vm = make_vm()
    uuid = await shown.show(wanted(vm=pool.get("VM", vm)["uuid"]), epoch=3)
    assert await shown.show(wanted(), epoch=4) == uuid
    assert await shown.show(wanted(migration="m-2"), epoch=1) != uuid
    first = next(iter(pool.records["task"].values()))
    assert first["other_config"] == {
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": "progress",
        "xo_warmig:epoch": "3",
        "xo_warmig:self": uuid,
        "applies_to": vm,
    }


async def test_one_that_ended_is_not_found_again(pool: Any, shown: MigrationTasks) -> None:
    """Nobody can make it pending."""
    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    await shown.end(uuid, TaskEnd.CANCELLED, [])
    assert await shown.show(wanted(), epoch=1) != uuid


async def test_a_look_tells_the_progress_by_one_call_more(pool: Any, shown: MigrationTasks) -> None:
    """And by none where that is as it was."""
    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    pool.log.clear()
    assert await shown.look(uuid, 0.25) is TaskSeen.RUNNING
    assert await shown.look(uuid, None) is TaskSeen.RUNNING
    assert record(pool)["progress"] == 0.25
    assert pool.log == ["task.get_all_records_where", "task.set_progress", "task.get_all_records_where"]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"current_operations": {"OpaqueRef:x": "cancel"}}, TaskSeen.CANCEL_ASKED),
        ({"current_operations": {"task": "destroy"}}, TaskSeen.RUNNING),
        ({"status": "cancelling"}, TaskSeen.RUNNING),
        ({"status": "cancelled"}, TaskSeen.CANCEL_ASKED),
        ({"status": "failure"}, TaskSeen.GONE),
    ],
)
async def test_what_others_did_to_it_is_seen(
    pool: Any, shown: MigrationTasks, fields: dict[str, Any], seen: TaskSeen
) -> None:
    """A cancel is an operation on it; its status stays."""
    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    next(iter(pool.records["task"].values())).update(fields)
    assert await shown.look(uuid, 0.5) is seen


async def test_the_status_is_the_last_that_its_end_sets(pool: Any, shown: MigrationTasks) -> None:
    """Who waits for it then sees the error."""
    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    pool.log.clear()
    await shown.end(uuid, TaskEnd.FAILURE, ["NO_DELTA", "why"])
    assert pool.log[-1] == "task.set_status"
    assert (record(pool)["status"], record(pool)["error_info"]) == ("failure", ["NO_DELTA", "why"])
    await shown.drop(uuid)
    assert pool.records["task"] == {}
    assert await shown.look(uuid, 1.0) is TaskSeen.GONE
    await shown.end(uuid, TaskEnd.SUCCESS, [])
    await shown.drop(uuid)


async def test_a_pending_one_is_ended_before_it_is_destroyed(pool: Any, shown: MigrationTasks) -> None:
    """XAPI only marks it otherwise."""
    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    await shown.drop(uuid)
    assert pool.calls("task.set_status", "task.destroy") == ["task.set_status", "task.destroy"]


async def test_a_release_without_setters_is_asked_for_each_once(pool: Any, shown: MigrationTasks) -> None:
    """8.1 has neither progress nor error; all else goes on."""

    def unknown(*_: Any) -> None:
        raise pool.failure("MESSAGE_METHOD_UNKNOWN")

    uuid = await shown.show(wanted(), epoch=1)
    assert uuid is not None
    pool.handlers |= {"task.set_progress": unknown, "task.set_error_info": unknown}
    for progress in (0.1, 0.2, 0.3):
        assert await shown.look(uuid, progress) is TaskSeen.RUNNING
    await shown.end(uuid, TaskEnd.FAILURE, ["X"])
    assert record(pool)["status"] == "failure"
    assert pool.calls("task.set_progress", "task.set_error_info") == ["task.set_progress", "task.set_error_info"]


async def test_no_task_where_nobody_could_end_it(pool: Any, shown: MigrationTasks) -> None:
    """``task.set_status`` came with 7.2; before that it would stay pending for a day."""
    assert await MigrationTasks(pool, (2, 6)).show(wanted(), epoch=1) is None
    assert pool.log == []
    assert await MigrationTasks(pool, (2, 7)).show(wanted(), epoch=1) is not None


async def test_a_refusal_is_raised(pool: Any, shown: MigrationTasks) -> None:
    """What to do then is the caller's to decide."""

    def refuse(*_: Any) -> None:
        raise pool.failure("RBAC_PERMISSION_DENIED", "task.create", "no")

    pool.handlers["task.create"] = refuse
    with pytest.raises(PoolError, match="RBAC_PERMISSION_DENIED"):
        await shown.show(wanted(), epoch=1)


async def test_a_whole_life_on_a_simulated_pool(source: Pool) -> None:
    """Made, told, cancelled by somebody, ended, listed as ours, and taken away."""
    task = await source.show_task(wanted(migration="life"), epoch=1)
    assert task is not None
    assert await source.show_task(wanted(migration="life"), epoch=1) == task
    assert await source.look_at_task(task, progress=0.5) is TaskSeen.RUNNING
    ref = await source.calls.call("task.get_by_uuid", task)
    assert await source.calls.call("task.get_progress", ref) == 0.5
    await source.calls.call("task.cancel", ref)
    assert await source.look_at_task(task, progress=0.6) is TaskSeen.CANCEL_ASKED
    assert await source.calls.call("task.get_progress", ref) == 0.6, "it goes on until its owner says otherwise"
    (ours,) = [each for each in await source.our_objects() if each.migration == "life"]
    assert (ours.kind, ours.uuid, ours.role) == ("task", task, "progress")
    await source.end_task(task, TaskEnd.FAILURE, error=["X", "y"])
    ended = await source.calls.call("task.get_record", ref)
    assert (ended["status"], ended["error_info"], ended["progress"]) == ("failure", ["X", "y"], 1.0)
    await source.drop_task(task)
    await source.drop_task(task)
    assert await source.look_at_task(task, progress=1.0) is TaskSeen.GONE
