"""Our migrations in what upstream shows: objects, downloads, notifications, lists of methods."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.api.conftest import wait_until
from tests.api.gateway.messages.xo_server import METHODS_INFO, OBJECTS
from xo_warmig.model.phases import Phase

WARM = {"vm": "vm-1", "sr": "sr-1", "startDestinationVm": True, "deleteSourceVm": False}


def entered(id: str) -> Callable[[dict[str, Any]], bool]:
    """A notification that the object came or changed."""
    return lambda note: note["params"].get("type") == "enter" and id in note["params"]["items"]


def test_a_migration_is_an_object_among_upstreams(client: Any, viewer: Any) -> None:
    """For everybody who is signed in; the others' text is untouched."""
    id = client.call("warmMigration.start", **WARM)
    objects = viewer.call("xo.getAllObjects")
    assert objects[id]["type"] == "task"
    assert objects[id]["$pool"] == "pool-1"
    assert {key: objects[key] for key in OBJECTS} == OBJECTS
    assert id in viewer.call("xo.getAllObjects", filter="type:task")
    assert list(viewer.call("xo.getAllObjects", filter={"type": "SR"})) == ["sr-1"]
    assert len(viewer.call("xo.getAllObjects", limit=2)) == 2


def test_a_stranger_sees_nothing_of_it(client: Any, new_client: Callable[..., Any]) -> None:
    """Upstream's refusal is its answer."""
    client.call("warmMigration.start", **WARM)
    error = new_client(None).error("xo.getAllObjects")
    assert (error["code"], error["data"]) == (2, {"object": {}})


def test_a_download_of_objects_gets_a_supplement(site: Any, client: Any) -> None:
    """The HTTP side finds it by the path that upstream gave; one that tasks do not fit in has none."""
    id = client.call("warmMigration.start", **WARM)
    path = client.call("xo.getAllObjects", ndjson=True)["$getFrom"]
    rest = site.supplements.take(f"/v5{path}").rest().decode()
    assert id in [json.loads(line)["id"] for line in rest.splitlines()]
    path = client.call("xo.getAllObjects", ndjson=True, filter={"type": "VM"})["$getFrom"]
    assert site.supplements.take(path) is None
    path = client.call("xo.getAllObjects", ndjson=True, limit=4)["$getFrom"]
    supplement = site.supplements.take(path)
    supplement.passed(b"{}\n" * 4)
    assert supplement.rest() == b""


def test_who_is_signed_in_is_told_of_each_change(site: Any, client: Any, viewer: Any) -> None:
    """Whole objects of type task, and nothing that an xo-server never tells."""
    id = client.call("warmMigration.start", **WARM)
    site.do(lambda: site.engine.move(id, phase=Phase.SYNCING, progress=0.5))
    for one in (client, viewer):
        told = one.note(lambda note: entered(id)(note) and note["params"]["items"][id]["progress"] == 0.5)
        task = told["params"]["items"][id]
        assert {"id", "uuid", "type", "status", "name_label", "$pool", "xapiRef", "created"} <= task.keys()
    site.do(lambda: site.engine.finish(id, "target"))
    gone = viewer.note(lambda note: note["params"].get("type") == "exit" and id in note["params"]["items"])
    assert gone["params"]["items"][id] == 0
    assert {note["method"] for note in client.notes + viewer.notes} == {"all"}


def test_who_is_not_signed_in_any_more_is_told_nothing(site: Any, client: Any, new_client: Callable[..., Any]) -> None:
    """Nor who never was."""
    stranger, leaver = new_client(None), new_client()
    leaver.call("session.signOut")
    stranger.error("session.signIn", {"token": "no"})
    id = client.call("warmMigration.start", **WARM)
    client.note(entered(id))
    for one in (stranger, leaver):
        one.call("system.getServerVersion")
        assert one.notes == []


def test_who_signs_out_before_upstream_said_who_it_is_is_told_nothing(
    site: Any, xo: Any, client: Any, new_client: Callable[..., Any]
) -> None:
    """What upstream says then is of the past."""
    hasty = new_client(None)
    held = xo.held["session.getUser"] = asyncio.Event()
    before = len(xo.frames)
    signing_in = hasty.send("session.signIn", {"token": "xo-token"})
    wait_until(lambda: any("session.getUser" in frame for frame in xo.frames[before:]))
    hasty.call("session.signOut")
    del xo.held["session.getUser"]
    xo.call(held.set)
    assert "result" in hasty.wait(signing_in)
    client.note(entered(client.call("warmMigration.start", **WARM)))
    hasty.call("system.getServerVersion")
    assert hasty.notes == []


def test_who_has_signed_in_is_told_from_the_answer_on(site: Any, xo: Any, new_client: Callable[..., Any]) -> None:
    """Even where upstream takes its time to say who it is."""
    client = new_client()
    id = client.call("warmMigration.start", **WARM)
    late = new_client(None)
    late.call("session.signIn", token="xo-token")
    site.do(lambda: site.engine.move(id, phase=Phase.SYNCING, progress=0.25))
    late.note(entered(id))


def test_our_methods_are_listed_with_upstreams(new_client: Callable[..., Any]) -> None:
    """Before anybody has signed in, as xo-cli asks for them; upstream's stay as they are."""
    client = new_client(None)
    info = client.call("system.getMethodsInfo")
    assert info["vm.start"] == METHODS_INFO["vm.start"]
    assert info["vm.warmMigration"]["params"].keys() >= {"vm", "sr", "startDestinationVm", "targetDowntime"}
    assert info["warmMigration.cutover"]["permission"] == "admin"
    assert "server.add" not in info
    names = client.call("system.listMethods")
    assert set(names) == set(info)
    assert len(names) == len(set(names))
