"""Tasks that an earlier process left on a pool."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.xapi.clearing import EXPORT_LABEL, IMPORT_LABEL, clear_left_tasks, description_of

US, BEFORE = "server-1/now", "server-1/before"


@pytest.fixture
def connection(pool: Any) -> Any:
    """The pool, as the connection of server-1 in process ``now``."""
    pool.process, pool.read_only = "now", False
    pool.handlers["task.set_status"] = lambda ref, status: pool.get("task", ref).update(status=status)
    return pool


@pytest.fixture
def vdi(pool: Any, make_vdi: Callable[..., str]) -> str:
    return str(pool.get("VDI", make_vdi())["uuid"])


def add(pool: Any, label: str, description: str = "", status: str = "success", **other_config: str) -> str:
    """A task; its reference."""
    fields = {"name_label": label, "name_description": description, "status": status}
    task: str = pool.add("task", **fields, other_config=other_config)
    return task


async def test_ended_tasks_of_an_earlier_process_go(connection: Any, vdi: str) -> None:
    """However they ended: transfers', and those of calls whose request said whose it was."""
    for status in ("success", "failure", "cancelled"):
        add(connection, EXPORT_LABEL, description_of(vdi, BEFORE), status)
        add(connection, "Async.VDI.snapshot", status=status, **{"http:xo_warmig": BEFORE})
    assert await clear_left_tasks(connection)
    assert connection.records["task"] == {}


async def test_a_transfer_that_was_never_begun_is_ended(connection: Any, vdi: str) -> None:
    """It would stay pending for ever; one whose disk is gone too."""
    for disk in (vdi, "nowhere"):
        add(connection, IMPORT_LABEL, description_of(disk, BEFORE), "pending")
    assert await clear_left_tasks(connection)
    assert connection.records["task"] == {}
    assert connection.calls("task.set_status", "task.destroy") == ["task.set_status", "task.destroy"] * 2


async def test_what_still_runs_is_left_and_looked_at_again(
    connection: Any, vdi: str, make_vm: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """A handler that has its disk, and a call of XAPI's own."""
    ref = connection._by_uuid("VDI", vdi)
    make_vbd(make_vm(is_control_domain=True), ref, currently_attached=True)
    transfer = add(connection, IMPORT_LABEL, description_of(vdi, BEFORE), "pending")
    call = add(connection, "Async.VM.clean_shutdown", status="pending", **{"http:xo_warmig": BEFORE})
    assert not await clear_left_tasks(connection)
    assert set(connection.records["task"]) == {transfer, call}
    for task in (transfer, call):
        connection.get("task", task)["status"] = "failure"
    assert await clear_left_tasks(connection)
    assert connection.records["task"] == {}


async def test_nobody_else_s_task_is_touched(connection: Any, vdi: str) -> None:
    """The present process's, those of another server, and all that do not say whose they are."""
    for status in ("pending", "success"):
        for origin in (US, "server-2/before"):
            add(connection, EXPORT_LABEL, description_of(vdi, origin), status)
            add(connection, "Async.VM.start", status=status, **{"http:xo_warmig": origin})
        add(connection, EXPORT_LABEL, f"disk {vdi}", status)
        add(connection, "Exporting raw VDI", description_of(vdi, BEFORE), status)
        add(connection, "Async.VM.start", status=status)
        add(connection, "Async.VM.start", status=status, **{"http:xo_warmig": "odd"})
    before = dict(connection.records["task"])
    assert await clear_left_tasks(connection)
    assert connection.records["task"] == before


async def test_a_read_only_server_is_not_cleared(connection: Any, vdi: str) -> None:
    """And a pool that refuses is no reason not to connect."""
    add(connection, EXPORT_LABEL, description_of(vdi, BEFORE))
    connection.read_only = True
    assert await clear_left_tasks(connection)
    connection.read_only = False

    def refuse() -> None:
        raise connection.failure("RBAC_PERMISSION_DENIED")

    connection.handlers["task.get_all_records"] = refuse
    assert not await clear_left_tasks(connection)
    assert len(connection.records["task"]) == 1
