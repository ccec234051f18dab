"""What is done to VMs and servers over HTTP, and the tasks of it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.xo.pools import VM
from xo_warmig.api.connection import Calls
from xo_warmig.api.rest import actions
from xo_warmig.api.rest.actions import Actions
from xo_warmig.api.xo_errors import XoError
from xo_warmig.errors import ForbiddenOperation, InvalidRequest, NoSuchObject

OPTIONS = {"sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
MIGRATE = "/vms/v/actions/warm_migration"


@pytest.fixture
def orders(site: Any, small_pool: None, client: Any) -> list[Any]:
    """What the VMs were told."""
    client.call("xo.getAllObjects")
    site.vms.refusal = None
    site.vms.orders.clear()
    orders: list[Any] = site.vms.orders
    return orders


def test_a_migration_is_started(site: Any, client: Any, http_client: Any) -> None:
    """202 and where its task is, which is of the VM."""
    begun = http_client(MIGRATE, "POST", OPTIONS | {"targetDowntime": 5})
    id = begun.body["taskId"]
    assert (begun.status, begun.headers["location"]) == (202, f"/rest/v0/tasks/{id}")
    report = site.engine.report(id)
    assert (report.vm, report.sr, report.request.target_downtime) == ("v", "s", 5)
    assert report.request.start_destination_vm
    assert http_client(f"/tasks/{id}").body["properties"]["objectId"] == "v"


def test_a_migration_is_waited_for(site: Any, http_client: Any, eventually: Callable[..., Any]) -> None:
    """201 and the new VM; the migration goes on when nobody waits any more."""
    before = len(site.engine.reports())
    asking = http_client.begin(f"{MIGRATE}?sync=true", "POST", OPTIONS)
    gone = http_client.begin(f"{MIGRATE}?sync=true", "POST", OPTIONS)
    eventually(lambda: len(site.engine.reports()) == before + 2)
    first, second = (report.id for report in site.engine.reports()[before:])
    eventually(lambda: site.engine.waiting == 2)
    gone.close()
    eventually(lambda: site.engine.waiting == 1)
    for id in (first, second):
        site.do(lambda id=id: site.engine.finish(id, "new-vm"))
    answer = asking.getresponse()
    assert (answer.status, json.loads(answer.read())) == (201, {"id": "new-vm"})


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"sr": "s"}, 422, ["startDestinationVm", "deleteSourceVm"]),
        (OPTIONS | {"startDestinationVm": "true"}, 422, ["startDestinationVm"]),
        (OPTIONS | {"surprise": 1}, 422, ["surprise"]),
        (OPTIONS | {"sr": ""}, 422, ["sr"]),
        (OPTIONS | {"shutdown": {"force": 7}}, 422, ["shutdown.force"]),
        (OPTIONS | {"vm": "other"}, 422, None),
        ([], 400, None),
        ("{", 400, None),
        ("x" * (1 << 20) + "x", 413, None),
    ],
)
def test_what_makes_no_sense_starts_nothing(
    site: Any, http_client: Any, body: Any, status: int, fields: list[str] | None
) -> None:
    """The errors stand by the names of the members."""
    before = len(site.engine.reports())
    refused = http_client(MIGRATE, "POST", body)
    assert refused.status == status
    if fields is not None:
        assert list(refused.body["data"]["errors"]) == fields
    assert len(site.engine.reports()) == before


def test_what_the_engine_refuses_is_said_at_once(site: Any, http_client: Any) -> None:
    """With HTTP's status for it, and ours beside XO's members."""
    for error, status in (
        (NoSuchObject("no such VM", evidence={"id": "x", "type": "VM"}), 404),
        (InvalidRequest("an ISO SR", code="SR_IS_ISO", evidence={"instancePath": "/sr"}), 422),
        (ForbiddenOperation("taken", code="SOURCE_CLAIMED", evidence={"operation": "warmMigration"}), 403),
    ):
        site.engine.refuse["x"] = error
        refused = http_client("/vms/x/actions/warm_migration", "POST", OPTIONS)
        assert (refused.status, refused.body["data"]["code"]) == (status, error.code)


def test_actions_on_vms(http_client: Any, orders: list[Any]) -> None:
    """By XO's names; with ``sync`` the answer comes at their end."""
    for name, body in (("start", {"hostId": "h"}), ("clean_shutdown", None), ("hard_shutdown", {}), ("pause", None)):
        assert http_client(f"/vms/{VM}/actions/{name}?sync=true", "POST", body).status == 204
    made = http_client(f"/vms/{VM}/actions/snapshot?sync=true", "POST", {"name_label": "n"})
    assert (made.status, made.body) == (201, {"id": "snapshot-1"})
    assert http_client(f"/vms/{VM}", "DELETE").status == 204
    assert orders == [
        ("start", VM, "h", False),
        ("stop", VM, False, 0.0, False),
        ("stop", VM, True, 0.0, False),
        ("pause", VM),
        ("snapshot", VM, "n", None, False),
        ("delete", VM, True, False, False),
    ]


def test_storage_is_scanned(site: Any, http_client: Any, orders: list[Any]) -> None:
    """By its own action."""
    site.srs.orders.clear()
    assert http_client("/srs/sr-uuid/actions/scan?sync=true", "POST").status == 204
    assert http_client("/srs/nothing/actions/scan", "POST").status == 404
    assert http_client("/srs/sr-uuid/actions/scan", "POST", {"x": 1}).status == 422
    assert site.srs.orders == [("scan", "sr-uuid")]


def test_an_action_has_a_task(site: Any, http_client: Any, orders: list[Any]) -> None:
    """Of XO's kind, which stays; one that failed says why."""
    id = http_client(f"/vms/{VM}/actions/snapshot", "POST", {"name_label": "n"}).body["taskId"]
    task = http_client(f"/tasks/{id}?wait=true").body
    assert task["properties"] | {"userId": ""} == {
        "name": "REST API: snapshot",
        "type": "xo:rest-api:action",
        "objectId": VM,
        "objectType": "VM",
        "params": {"name": "n"},
        "userId": "",
    }
    assert (task["status"], task["result"]) == ("success", "snapshot-1")
    assert f"/rest/v0/tasks/{id}" in http_client(f"/vms/{VM}/tasks").body
    assert http_client(f"/tasks/{id}/actions/abort", "POST").status == 501
    site.vms.refusal = ForbiddenOperation("no", code="BEING_MIGRATED", evidence={"operation": "snapshot"})
    id = http_client(f"/vms/{VM}/actions/snapshot", "POST").body["taskId"]
    failed = http_client(f"/tasks/{id}?wait=true").body
    assert (failed["status"], failed["result"]["code"]) == ("failure", 5)
    assert http_client(f"/vms/{VM}/actions/snapshot?sync=true", "POST").status == 403


def test_an_action_that_makes_no_sense_has_none(http_client: Any, orders: list[Any]) -> None:
    """It is refused at once."""
    before = len(http_client("/tasks").body)
    assert http_client("/vms/nothing/actions/start", "POST").status == 404
    assert http_client(f"/vms/{VM}/actions/start", "POST", {"host": "h"}).status == 422
    assert http_client(f"/vms/{VM}/actions/start", "POST", {"hostId": 1}).status == 422
    assert http_client(f"/vms/{VM}/actions/explode", "POST").status == 404
    assert http_client(f"/vms/{VM}/actions/start").status == 404
    assert (orders, len(http_client("/tasks").body)) == ([], before)


def test_servers(site: Any, http_client: Any) -> None:
    """Added, shown, connected, disconnected, removed."""
    asked = {"host": "rest-pool", "username": "root", "password": "secret-word", "autoConnect": False}
    added = http_client("/servers", "POST", asked)
    assert added.status == 201
    path = f"/servers/{added.body['id']}"
    assert http_client("/servers", "POST", asked).status == 409
    assert http_client("/servers", "POST", {"host": "x"}).status == 422
    shown = http_client(path).body
    assert (shown["host"], shown["status"], "secret-word" in str(shown)) == ("rest-pool", "disconnected", False)
    assert http_client(f"{path}/actions/connect?sync=true", "POST").status == 204
    assert http_client(f"{path}/actions/connect?sync=true", "POST").status == 409
    assert http_client(f"{path}/actions/disconnect", "POST").status == 202
    assert len(http_client(f"{path}/tasks").body) == 3
    assert http_client(path, "DELETE").status == 204
    assert http_client(path).status == 404


async def test_the_oldest_ended_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes on is not."""
    monkeypatch.setattr(actions, "MOST_KEPT", 2)
    calls, told = Calls(), []
    made = Actions(calls, lambda: 1_700_000_000_000)
    leave = made.subscribe(lambda id, task: told.append((id, None if task is None else task["status"])))
    ever = made.run(asyncio.sleep(60), name="ever")
    ids = [made.run(asyncio.sleep(0, number), name="short") for number in range(3)]
    assert await asyncio.gather(*map(made.result, ids)) == [0, 1, 2]
    await asyncio.sleep(0)
    assert [task["id"] for task in made.all()] == [ever, ids[2]]
    assert (ids[0], None) in told
    leave()
    await calls.close()
    assert (made.get(ever) or {})["status"] == "interrupted"


async def test_a_failure_is_kept_with_its_reason() -> None:
    """And raised for who waits."""

    async def fail() -> None:
        raise XoError(1, "no such object x", {"id": "x"})

    made = Actions(Calls(), lambda: 1)
    id = made.run(fail(), name="x")
    with pytest.raises(XoError):
        await made.result(id)
    assert (made.get(id) or {})["result"] == {
        "name": "XoError",
        "code": 1,
        "message": "no such object x",
        "data": {"id": "x"},
    }
