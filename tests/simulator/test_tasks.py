"""Tasks: their ends, and who removes them."""

import time

import pytest

from xo_warmig.simulator import tasks as module
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.datamodel import EPOCH
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.tasks import Tasks


@pytest.fixture
def tasks(database: Database) -> Tasks:
    return Tasks(database)


def test_a_new_task_is_pending(tasks: Tasks) -> None:
    """With the fields that clients look at."""
    record = tasks.db.get("task", tasks.create("Async.VM.start", "why"))
    assert record["status"] == "pending"
    assert record["name_label"] == "Async.VM.start"
    assert record["name_description"] == "why"
    assert record["type"] == "<none/>"
    assert record["created"] > "2020"


def test_status_is_the_last_thing_that_success_sets(tasks: Tasks) -> None:
    """Who sees success also sees the result, the progress and the time."""
    task = tasks.create("t")
    seen: list[dict[str, object]] = []
    tasks.db.journal = None
    original = tasks.db.set

    def watch(cls: str, ref: str, /, **fields: object) -> None:
        seen.append(fields)
        original(cls, ref, **fields)

    tasks.db.set = watch  # type: ignore[method-assign]
    tasks.succeed(task, "<value>OpaqueRef:x</value>")
    assert [next(iter(fields)) for fields in seen] == ["allowed_operations", "finished", "progress", "result", "status"]
    assert tasks.db.field("task", task, "result") == "<value>OpaqueRef:x</value>"


def test_failure_keeps_the_error(tasks: Tasks) -> None:
    """error_info is the code and its parameters; progress is whole all the same."""
    task = tasks.create("t")
    tasks.fail(task, ["HANDLE_INVALID", "VM", "x"])
    record = tasks.db.get("task", task)
    assert (record["status"], record["progress"]) == ("failure", 1.0)
    assert record["error_info"] == ["HANDLE_INVALID", "VM", "x"]


def test_cancelled_is_a_failure_of_its_own(tasks: Tasks) -> None:
    """By the code of the error."""
    task = tasks.create("t")
    tasks.cancel(task)
    assert tasks.is_cancelled(task)
    tasks.fail(task, ["TASK_CANCELLED", task])
    assert tasks.db.field("task", task, "status") == "cancelled"


def test_only_the_first_end_counts(tasks: Tasks) -> None:
    """A later one is ignored."""
    task = tasks.create("t")
    tasks.succeed(task)
    tasks.fail(task, ["INTERNAL_ERROR", "late"])
    assert tasks.db.field("task", task, "status") == "success"
    assert tasks.db.field("task", task, "error_info") == []


def test_a_pending_task_that_is_destroyed_goes_when_it_ends(tasks: Tasks) -> None:
    """Its end is not lost on whoever runs it."""
    task = tasks.create("t")
    tasks.destroy(task)
    assert tasks.db.field("task", task, "current_operations") == {"task": "destroy"}
    tasks.succeed(task)
    assert not tasks.db.exists("task", task)


def test_destroying_an_unknown_task_is_refused(tasks: Tasks) -> None:
    """HANDLE_INVALID, as for any object."""
    with pytest.raises(XapiFailure, match="HANDLE_INVALID"):
        tasks.destroy("OpaqueRef:nope")


def test_the_oldest_completed_tasks_go_when_there_are_too_many(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pending ones stay."""
    monkeypatch.setattr(module, "MAX_COMPLETED", 3)
    pending = tasks.create("pending")
    done = [tasks.create("t") for _ in range(4)]
    for task in done:
        tasks.succeed(task)
    tasks.create("one more")
    assert tasks.db.exists("task", pending)
    assert [tasks.db.exists("task", task) for task in done] == [False, False, True, True]


def test_an_end_by_hand_is_a_status_and_no_more(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a time of its end it looks old, so that the next collection takes it."""
    task = tasks.create("t")
    tasks.set_progress(task, 0.5)
    tasks.finish_by_hand(task, "success")
    record = tasks.db.get("task", task)
    assert (record["status"], record["progress"]) == ("success", 0.5)
    assert record["finished"] == EPOCH
    tasks.collect()
    assert tasks.db.exists("task", task)
    later = time.monotonic() + module.KEPT_BY_HAND_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    tasks.collect()
    assert not tasks.db.exists("task", task)


def test_a_cancel_of_what_nobody_works_on_leaves_it_pending(tasks: Tasks) -> None:
    """The asking stands among its operations, for its owner to see."""
    task = tasks.create("t", allowed_operations=[])
    tasks.cancel(task)
    record = tasks.db.get("task", task)
    assert record["status"] == "pending"
    assert list(record["current_operations"].values()) == ["cancel"]
