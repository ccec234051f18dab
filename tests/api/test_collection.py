"""XO's objects of all pools: made from their records, asked for and told of."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from xo_warmig.api.collection import Collection
from xo_warmig.api.ports import Change

NULL = "OpaqueRef:NULL"


def network(name: str, uuid: str = "n-1") -> dict[str, Any]:
    return {"uuid": uuid, "name_label": name, "PIFs": [], "VIFs": [], "other_config": {}, "tags": []}


def pool(uuid: str) -> Change:
    return "pool", f"OpaqueRef:{uuid}", {"uuid": uuid, "name_label": uuid, "master": NULL, "default_SR": NULL}


class Told:
    """What was told, in order."""

    def __init__(self) -> None:
        self.items: list[tuple[str, Any]] = []

    def __call__(self, id: str, value: Any) -> None:
        self.items.append((id, None if value is None else value.get("name_label")))


async def test_nothing_is_read_before_it_is_woken(fake_records: Any) -> None:
    """And nothing is told after the end."""
    source, told = fake_records, Told()
    collection = Collection(source, told)
    assert source.listeners == []
    collection.wake()
    collection.wake()
    assert len(source.listeners) == 1
    collection.close()
    assert source.listeners == []


async def test_objects_follow_the_records(fake_records: Any) -> None:
    """A change tells of the object anew, nothing that leaves it as it was is told."""
    source, told = fake_records, Told()
    collection = Collection(source, told)
    collection.wake()
    source.change("p", [pool("p"), ("network", "OpaqueRef:n", network("lan"))])
    told.items.clear()
    source.change("p", [("network", "OpaqueRef:n", network("lan"))])
    source.change("p", [("network", "OpaqueRef:n", network("wan"))])
    assert told.items == [("n-1", "wan")]
    found = {each["id"]: each for each in await collection.objects()}
    assert found["n-1"]["name_label"] == "wan"
    assert found["n-1"]["$pool"] == "p"
    source.change("p", [("network", "OpaqueRef:n", None)])
    assert told.items[-1] == ("n-1", None)
    assert [each["type"] for each in await collection.objects()] == ["pool"]


async def test_one_object_of_two_pools_is_the_first_ones(fake_records: Any) -> None:
    """Until it goes there."""
    source, told = fake_records, Told()
    collection = Collection(source, told)
    collection.wake()
    for name in ("p", "q"):
        source.change(name, [pool(name), ("network", "OpaqueRef:n", network(name))])
    assert [(each["id"], each["name_label"]) for each in await collection.objects() if each["type"] == "network"] == [
        ("n-1", "p")
    ]
    told.items.clear()
    source.change("p", [("network", "OpaqueRef:n", None)])
    assert told.items == [("n-1", "q")]
    source.change("q", [("network", "OpaqueRef:n", None)])
    assert told.items[-1] == ("n-1", None)


def fill(site: Any) -> None:
    """Three networks of a pool."""
    changes: Sequence[Change] = [
        pool("p"),
        *(("network", f"OpaqueRef:{name}", network(name, name)) for name in ("a", "b", "c")),
    ]
    site.do(lambda: site.records.change("p", changes))


def test_all_objects_are_answered_by_id(site: Any, client: Any) -> None:
    """Chosen by XO's filters, by patterns, and by number."""
    fill(site)
    everything = client.call("xo.getAllObjects")
    assert set(everything) == {"p", "a", "b", "c"}
    assert all(everything[id]["id"] == id for id in everything)
    assert set(client.call("xo.getAllObjects", filter="type:network name_label:/^[ab]$/")) == {"a", "b"}
    assert set(client.call("xo.getAllObjects", filter={"type": "network", "id": "c"})) == {"c"}
    assert len(client.call("xo.getAllObjects", filter={"type": "network"}, limit=2)) == 2
    assert "error" in client.wait(client.send("xo.getAllObjects", {"filter": "(("}))


def test_objects_are_downloaded_once_as_lines(site: Any, client: Any) -> None:
    """By whoever has the address."""
    fill(site)
    answer = client.call("xo.getAllObjects", filter={"type": "network"}, ndjson=True)
    url = site.url.replace("ws://", "http://").removesuffix("/api/") + answer["$getFrom"]
    with urllib.request.urlopen(url, timeout=10) as response:
        assert response.headers["content-type"].startswith("application/json")
        lines = response.read().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {"a", "b", "c"}
    with pytest.raises(urllib.error.HTTPError) as gone:
        urllib.request.urlopen(url, timeout=10)
    assert gone.value.code == 404
    gone.value.close()


def test_changes_are_told_to_everybody_but_our_own_client(site: Any, new_client: Callable[..., Any]) -> None:
    """Who signs in wakes it."""
    other, own = new_client(), new_client(user_agent_header="xo_warmig/client")
    other.call("session.getUser")
    site.do(lambda: site.records.change("new", [pool("new")]))
    while not (told := [note for note in other.notes if "new" in note["params"]["items"]]):
        other.take()
    assert told[0]["params"]["type"] == "enter"
    own.call("session.getUser")
    assert not any(note["method"] == "all" and "new" in note["params"]["items"] for note in own.notes)


def test_a_migration_is_an_object_too(site: Any, client: Any) -> None:
    """Its task, while it is on show."""
    request = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
    id = client.call("warmMigration.start", **request)
    assert client.call("xo.getAllObjects", filter="type:task")[id]["status"] == "pending"
    client.call("server.add", host="north", username="root", password="p")
    assert client.call("xo.getAllObjects", filter="type:task")[id]["$host"] == "host-1"
