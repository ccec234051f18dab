"""The objects of all pools over HTTP, and who may ask for them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.xo.pools import VM
from xo_warmig.api.rest.listing import table

Basic = Callable[[str, str], dict[str, str]]


@pytest.fixture
def networks(change: Callable[..., None], network: Callable[..., Any], client: Any) -> None:
    """Three of them."""
    client.call("xo.getAllObjects")
    change("network", **{id: network(f"net {id}") for id in ("a", "b", "c")})


def test_nobody_gets_a_pong_and_nothing_else(http_client: Any, basic: Basic) -> None:
    """401 says how to sign in; both ways at once are too much."""
    assert http_client("/ping", headers={}).body["result"] == "pong"
    refused = http_client("/vms", headers={})
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Basic realm="xo"')
    assert http_client("/vms", headers={"Cookie": "token=nonsense"}).status == 401
    assert http_client("/nowhere", headers={}).status == 401
    both = {"Cookie": "token=x"} | basic("a", "b")
    nonsense = [{"Authorization": text} for text in ("Bearer x", "Basic ???", "Basic YQ==")]
    assert [http_client("/vms", headers=headers).status for headers in (both, *nonsense)] == [400] * 4


def test_objects_are_listed(http_client: Any, networks: None) -> None:
    """As references, with fields, or whole; by filter and number; as lines."""
    assert http_client("/networks").body == [f"/rest/v0/networks/{id}" for id in ("a", "b", "c")]
    assert http_client("/networks?fields=id,name_label&limit=1").body == [
        {"id": "a", "name_label": "net a", "href": "/rest/v0/networks/a"}
    ]
    assert http_client("/networks?fields=id&filter=id:/[bc]/").body == [
        {"id": id, "href": f"/rest/v0/networks/{id}"} for id in ("b", "c")
    ]
    assert http_client("/networks?fields=*&limit=1").body[0]["type"] == "network"
    lines = http_client("/networks?ndjson=true")
    assert (len(lines.body.splitlines()), lines.headers["content-type"]) == (3, "application/x-ndjson")
    shown = http_client("/networks?markdown=true&fields=id,tags&limit=1")
    assert shown.body == "| id | tags | href |\n| --- | ---- | ---- |\n| a | [] | /rest/v0/networks/a |\n"
    assert shown.headers["content-type"].startswith("text/markdown")


def test_an_object_is_found_in_its_own_collection(http_client: Any, networks: None) -> None:
    """And nowhere else."""
    assert http_client("/networks/b").body["name_label"] == "net b"
    for path in ("/vms/b", "/networks/d", "/networks/d/tasks", "/nowhere"):
        missing = http_client(path)
        assert (missing.status, list(missing.body)) == (404, ["error", "data"])
    assert [http_client("/networks/b", method).status for method in ("PUT", "PATCH", "DELETE")] == [404] * 3


def test_what_belongs_to_a_vm_is_below_it(http_client: Any, small_pool: None) -> None:
    """Its disks, its messages, and its tasks."""
    assert http_client(f"/vms/{VM}/vdis?fields=id").body == [{"id": "vdi-uuid", "href": "/rest/v0/vdis/vdi-uuid"}]
    assert http_client(f"/vms/{VM}/messages").body == ["/rest/v0/messages/msg-uuid"]
    assert http_client("/hosts/h-uuid/messages").body == []
    assert http_client(f"/vms/{VM}/tasks").body == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filter=((", 400),
        ("limit=x", 422),
        ("limit=-1", 422),
        ("ndjson=yes", 422),
        ("ndjson=", 422),
        ("ndjson=true&markdown=true", 422),
    ],
)
def test_what_makes_no_sense_is_refused(http_client: Any, query: str, status: int) -> None:
    """With an error of XO's shape."""
    refused = http_client(f"/networks?{query}")
    assert refused.status == status
    assert isinstance(refused.body["error"], str)


def test_no_limit_is_too_high(http_client: Any) -> None:
    """One that no list reaches is no limit."""
    assert http_client(f"/networks?limit={'9' * 5000}").status == 200
    assert http_client(f"/networks?limit={'9' * 30}").status == 200


def test_a_cell_stays_one() -> None:
    """Whatever is in it."""
    assert table([{"a": "x|y\n\\"}, "/href"]).splitlines()[2:] == [r"| x\|y \\ |  |", "|  | /href |"]
    assert table([]) == "| href |\n| ---- |\n"
