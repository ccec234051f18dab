"""Operations in progress: marking, waiting, giving up."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.calls import operations
from xo_warmig.simulator.calls.operations import Hold, marked
from xo_warmig.simulator.failure import XapiFailure

TASK = "OpaqueRef:task-of-another"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls give up on busy objects at once."""
    monkeypatch.setattr(operations, "PATIENCE_SECONDS", 0.0)


def in_background(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.usefixtures("impatient")
def test_a_busy_vm_says_who_is_busy_with_it(client: Any, make: Any, refused: Any) -> None:
    """Class, object, operation and its task."""
    vm = make.vm()
    with marked(make.pool, TASK, Hold("VM", vm, "snapshot")):
        details = refused(client, "VM.start", vm, False, False)
    assert details == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "snapshot", TASK]


@pytest.mark.usefixtures("impatient")
def test_several_operations_are_named_together(client: Any, make: Any, refused: Any) -> None:
    """In braces, operations and tasks in the same order."""
    vm = make.vm()
    with marked(make.pool, TASK, Hold("VM", vm, "clone")), marked(make.pool, TASK + "2", Hold("VM", vm, "copy")):
        details = refused(client, "VM.start", vm, False, False)
    assert details[3:] == ["{clone,copy}", f"{{{TASK},{TASK}2}}"]


@pytest.mark.usefixtures("impatient")
def test_disks_are_made_one_at_a_time_for_each_sr(client: Any, make: Any, refused: Any) -> None:
    """Whatever an SR is doing keeps the next thing waiting."""
    with marked(make.pool, TASK, Hold("SR", make.sr, "vdi_create")), pytest.raises(XapiFailure) as caught:
        make.vdi()
    assert caught.value.details == ["OTHER_OPERATION_IN_PROGRESS", "SR", make.sr, "vdi_create", TASK]


@pytest.mark.usefixtures("impatient")
def test_a_disk_whose_vbd_is_busy_is_busy(client: Any, make: Any, refused: Any) -> None:
    """Operations of VBDs and of their disks keep out of each other's way."""
    vdi = make.vdi()
    vbd = make.vbd(make.vm(), vdi)
    with marked(make.pool, TASK, Hold("VBD", vbd, "attach")):
        details = refused(client, "VDI.snapshot", vdi)
    assert details == ["OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, "attach", TASK]


def test_a_call_waits_until_the_object_is_free(client: Any, make: Any) -> None:
    """And then does what it came for."""
    vdi = make.vdi()
    with marked(make.pool, TASK, Hold("SR", make.sr, "scan")):
        thread = in_background(lambda: client("VDI.snapshot", vdi))
        time.sleep(0.05)
        assert make.field("VDI", vdi, "snapshots") == []
    thread.join(10)
    assert len(make.field("VDI", vdi, "snapshots")) == 1


def test_a_waiting_call_can_be_cancelled(client: Any, make: Any) -> None:
    """Its task ends as cancelled."""
    vm = make.vm()
    with marked(make.pool, TASK, Hold("VM", vm, "snapshot")):
        task = client("Async.VM.start", vm, False, False)
        client("task.cancel", task)
        end = time.monotonic() + 10
        while make.field("task", task, "status") in ("pending", "cancelling") and time.monotonic() < end:
            time.sleep(0.01)
    assert make.field("task", task, "status") == "cancelled"
    assert make.field("task", task, "error_info") == ["TASK_CANCELLED", task]


def test_an_operation_shows_while_it_lasts(make: Any) -> None:
    """In ``current_operations`` by task; what it forbids is not listed meanwhile."""
    vm = make.vm()
    with marked(make.pool, TASK, Hold("VM", vm, "snapshot")):
        assert make.field("VM", vm, "current_operations") == {TASK: "snapshot"}
        assert "start" not in make.field("VM", vm, "allowed_operations")
    assert make.field("VM", vm, "current_operations") == {}
    assert "start" in make.field("VM", vm, "allowed_operations")


def test_a_refused_operation_marks_nothing(client: Any, make: Any, refused: Any) -> None:
    """All holds are taken, or none."""
    vdi = make.vdi()
    make.running(vdi)
    assert refused(client, "VDI.destroy", vdi) == ["VDI_IN_USE", vdi, "destroy"]
    assert make.field("SR", make.sr, "current_operations") == {}


def test_a_restart_leaves_nothing_in_progress(make: Any) -> None:
    """Whoever was busy is no more."""
    vm = make.vm()
    make.pool.db.set("VM", vm, current_operations={TASK: "snapshot"})
    operations.forget_all(make.pool.db)
    assert make.field("VM", vm, "current_operations") == {}
    assert "start" in make.field("VM", vm, "allowed_operations")
