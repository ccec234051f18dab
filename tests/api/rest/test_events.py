"""Server-sent events: what is followed is told, and nothing else."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.api.rest.events import told
from xo_warmig.api.rest.feed import Change, Feed
from xo_warmig.api.session import Session

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}


def event(stream: Any) -> tuple[str, Any]:
    """The next one but pings."""
    kind = stream.readline().decode().removeprefix("event: ").strip()
    data = json.loads(stream.readline().decode().removeprefix("data: "))
    assert stream.readline() == b"\n"
    return kind, data


@pytest.fixture
def opened(http_client: Any) -> tuple[Any, str]:
    """A stream and its id."""
    stream = http_client.stream("/events", http_client.cookie | {"Accept-Encoding": "gzip"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache, no-transform"
    kind, data = event(stream)
    assert kind == "init"
    return stream, data["id"]


def test_objects_are_followed(
    opened: tuple[Any, str], http_client: Any, change: Callable[..., None], network: Callable[..., Any]
) -> None:
    """As they come, change and go; of the fields that are wanted, and when these change."""
    stream, id = opened
    asked = {"collection": "network", "fields": ["id", "name_label"]}
    assert http_client(f"/events/{id}/subscriptions", "POST", asked)[:2] == (201, {"id": "network"})
    change("network", n=network("one"), m=network("other"))
    for uuid, name in (("n", "one"), ("m", "other")):
        assert event(stream) == ("add", {"id": uuid, "name_label": name, "$subscription": "network"})
    change("network", n=network("one") | {"tags": ["t"]})
    change("network", n=network("two"))
    assert event(stream) == ("update", {"id": "n", "name_label": "two", "$subscription": "network"})
    change("network", n=None)
    assert event(stream) == ("remove", {"id": "n", "$subscription": "network"})
    assert http_client(f"/events/{id}/subscriptions/network", "DELETE").status == 204
    assert http_client(f"/events/{id}/subscriptions/network", "DELETE").status == 404
    change("network", m=None)
    assert http_client(f"/events/{id}/subscriptions", "POST", {"collection": "network"}).status == 201
    change("network", o=network("whole"))
    kind, data = event(stream)
    assert (kind, data["id"], data["type"]) == ("add", "o", "network")
    change("network", o=None)


def test_migrations_are_followed_as_tasks(site: Any, client: Any, opened: tuple[Any, str], http_client: Any) -> None:
    """XO's tasks, of which the first event is an update."""
    stream, id = opened
    asked = {"collection": "task", "fields": ["id", "status"]}
    assert http_client(f"/events/{id}/subscriptions", "POST", asked).status == 201
    task = client.call("warmMigration.start", **WARM)
    assert event(stream) == ("update", {"id": task, "status": "pending", "$subscription": "task"})
    site.do(lambda: site.engine.finish(task, "t"))
    assert event(stream) == ("update", {"id": task, "status": "success", "$subscription": "task"})


def test_what_cannot_be_followed(opened: tuple[Any, str], http_client: Any, basic: Any, client: Any) -> None:
    """Unknown collections and streams; those of others."""
    _, id = opened
    path = f"/events/{id}/subscriptions"
    for body in ({}, {"collection": "unicorn"}, {"collection": "VM", "fields": "id"}, {"collection": "VM", "x": 1}):
        assert http_client(path, "POST", body).status == 422
    assert http_client("/events/nothing/subscriptions", "POST", {"collection": "VM"}).status == 404
    client.call("user.create", email="other@example.org", password="p", permission="admin")
    other = basic("other@example.org", "p")
    assert http_client(path, "POST", {"collection": "VM"}, other).status == 404
    assert http_client("/events", headers={}).status == 401


def test_a_stream_ends_with_its_client(site: Any, opened: tuple[Any, str], http_client: Any, eventually: Any) -> None:
    """Its subscriptions are gone then."""
    stream, id = opened
    eventually(lambda: site.requests() == 2)  # with the websocket's
    http_client.close()
    stream.close()
    eventually(lambda: site.requests() == 1)
    assert http_client(f"/events/{id}/subscriptions", "POST", {"collection": "VM"}).status == 404


async def test_what_waits_coalesces() -> None:
    """By object: of many changes the first before and the last now; what came and went was never there."""
    feed = Feed(Session("192.0.2.1"))
    feed.follow("VM", [{"id": "a", "type": "VM", "n": 0}])
    for number in range(1, 1000):
        feed.put_object("a", {"id": "a", "type": "VM", "n": number})
        feed.put_object("b", {"id": "b", "type": "VM", "n": number})
        feed.put_object("b", 0)
        feed.put_object("s", {"id": "s", "type": "SR"})
    assert await feed.changes(1) == [
        Change("VM", {"id": "a", "type": "VM", "n": 0}, {"id": "a", "type": "VM", "n": 999})
    ]
    feed.put_object("a", {"id": "a", "type": "VM-template", "n": 999})  # it became one
    (gone,) = await feed.changes(1)
    assert gone.now is None


def test_an_unchanged_pick_is_not_told() -> None:
    """Nor is what was removed told but by its id."""
    before, now = {"id": "a", "x": 1, "y": 1}, {"id": "a", "x": 1, "y": 2}
    assert told(Change("VM", before, now), frozenset({"id", "x"})) is None
    assert 'data: {"id":"a","$subscription":"VM"}' in (told(Change("VM", before, None), frozenset({"x"})) or "")
    assert (told(Change("VM", before, now), None) or "").startswith("event: update\ndata: ")
