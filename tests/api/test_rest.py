"""The REST API: who may ask, the objects of all pools, and the tasks of migrations."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

REQUEST = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
NULL = "OpaqueRef:NULL"
Get = Callable[..., tuple[int, Any]]


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def get(site: Any, client: Any) -> Get:
    """Status and answer, as JSON where it is; signed in by a token unless other headers are given."""
    cookie = {"Cookie": f"authenticationToken={client.call('token.create')}"}

    def ask(path: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, Any]:
        url = f"http://{site.address}/rest/v0{path}"
        request = urllib.request.Request(url, headers=cookie if headers is None else headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                status, body, kind = answer.status, answer.read(), answer.headers.get("content-type", "")
        except urllib.error.HTTPError as refused:
            with refused:
                status, body, kind = refused.code, refused.read(), refused.headers["content-type"]
        return status, json.loads(body) if kind == "application/json" else body.decode()

    return ask


@pytest.fixture
def networks(site: Any) -> None:
    """Three of them."""
    record: dict[str, Any] = {"PIFs": [], "VIFs": [], "other_config": {}, "tags": []}
    changes = [
        ("pool", "OpaqueRef:p", {"uuid": "p", "name_label": "p", "master": NULL, "default_SR": NULL}),
        *(("network", f"OpaqueRef:{id}", {"uuid": id, "name_label": f"net {id}", **record}) for id in ("a", "b", "c")),
    ]
    site.do(lambda: site.records.change("p", changes))


def test_nobody_gets_a_pong_and_nothing_else(get: Get) -> None:
    """401 says how to sign in; both ways at once are too much."""
    assert get("/ping", {})[1]["result"] == "pong"
    assert get("/vms", {})[0] == 401
    assert get("/vms", {"Cookie": "token=nonsense"})[0] == 401
    assert get("/nowhere", {})[0] == 401
    both = {"Cookie": "token=x"} | basic("a", "b")
    assert [get("/vms", headers)[0] for headers in (both, {"Authorization": "Bearer x"})] == [400, 400]


def test_administrators_sign_in_by_password_too(get: Get) -> None:
    """Others are refused."""
    assert get("/vms", basic("admin@admin.net", "correct horse"))[0] == 200
    assert get("/vms", basic("reader@example.org", "correct horse"))[0] == 403


def test_objects_are_listed(get: Get, networks: None) -> None:
    """As references, with fields, or whole; by filter and number; as lines."""
    assert get("/networks") == (200, [f"/rest/v0/networks/{id}" for id in ("a", "b", "c")])
    assert get("/networks?fields=id,name_label&limit=1")[1] == [
        {"id": "a", "name_label": "net a", "href": "/rest/v0/networks/a"}
    ]
    assert get("/networks?fields=id&filter=id:/[bc]/")[1] == [
        {"id": id, "href": f"/rest/v0/networks/{id}"} for id in ("b", "c")
    ]
    assert get("/networks?fields=*&limit=1")[1][0]["type"] == "network"
    assert len(get("/networks?ndjson=true")[1].splitlines()) == 3


def test_an_object_is_found_in_its_own_collection(get: Get, networks: None) -> None:
    """And nowhere else."""
    assert get("/networks/b")[1]["name_label"] == "net b"
    assert [get(path)[0] for path in ("/vms/b", "/networks/d", "/nowhere")] == [404, 404, 404]
    assert "error" in get("/networks/d")[1]


@pytest.mark.parametrize(
    ("query", "status"), [("filter=((", 400), ("limit=x", 422), ("limit=-1", 422), ("ndjson=yes", 422)]
)
def test_what_makes_no_sense_is_refused(get: Get, query: str, status: int) -> None:
    """With an error of XO's shape."""
    refused, body = get(f"/networks?{query}")
    assert refused == status
    assert isinstance(body["error"], str)


def test_a_migration_is_a_task(site: Any, client: Any, get: Get) -> None:
    """Listed, waited for, and gone on to be seen when it has ended."""
    id = client.call("warmMigration.start", **REQUEST)
    assert f"/rest/v0/tasks/{id}" in get("/tasks")[1]
    task = get(f"/tasks/{id}")[1]
    assert (task["status"], task["properties"]["objectId"], task["properties"]["objectType"]) == ("pending", "v", "VM")
    assert 0 <= task["properties"]["progress"] <= 100
    site.do(lambda: site.engine.finish(id, "target"))
    ended = get(f"/tasks/{id}?wait=true")[1]
    assert (ended["status"], ended["result"]) == ("success", "target")
    assert ended["end"] >= ended["start"]
    assert get("/tasks/nothing")[0] == 404


def test_a_task_is_aborted(client: Any, get: Get) -> None:
    """Its migration is cancelled, as by the API; a task that there is not cannot be."""
    id = client.call("warmMigration.start", **REQUEST)
    assert get(f"/tasks/{id}/actions/abort?sync=true", method="POST")[0] == 204
    assert get(f"/tasks/{id}")[1]["status"] == "failure"
    assert get(f"/tasks/{id}/actions/abort?sync=true", method="POST")[0] == 409
    other = client.call("warmMigration.start", **REQUEST)
    assert get(f"/tasks/{other}/actions/abort", method="POST") == (202, {"taskId": other})
    while get(f"/tasks/{other}")[1]["status"] == "pending":
        continue
    assert get("/tasks/nothing/actions/abort", method="POST")[0] == 404
