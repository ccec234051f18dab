"""Who answers what on a gateway's websocket, and for whom."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from tests.api.conftest import wait_until
from tests.api.gateway.messages.xo_server import PASSWORD
from xo_warmig.api.gateway.messages import conversation
from xo_warmig.api.settings import ApiSettings
from xo_warmig.engine.store.tables import audit
from xo_warmig.errors import NoSuchObject
from xo_warmig.model.phases import Phase

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
NOT_ADMIN = {"code": 2, "message": "not enough permissions", "data": {"permission": "admin", "object": {}}}


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """Few calls at a time."""
    return ApiSettings(task_linger_seconds=0.1, most_calls_in_flight=3)


def test_a_warm_migration_is_made_here_and_never_asked_of_upstream(site: Any, xo: Any, client: Any) -> None:
    """Upstream's administrator gets the new VM's uuid, and the engine is told who asked."""
    call = client.send("vm.warmMigration", WARM)
    id = site.wait_for_migration()
    site.do(lambda: site.engine.finish(id, "target-1"))
    assert client.wait(call)["result"] == "target-1"
    assert site.engine.users == ["root@xo.example"]
    assert not any("vm.warmMigration" in frame for frame in xo.frames)


def test_our_own_methods_are_answered_here(site: Any, client: Any) -> None:
    """``warmMigration.*``, and the signature of each."""
    id = client.call("warmMigration.start", **WARM)
    assert client.call("warmMigration.get", id=id)["user"] == "root@xo.example"
    assert client.call("system.methodSignature", method="warmMigration.plan")[0]["permission"] == "admin"


def test_everything_else_is_answered_by_upstream(client: Any) -> None:
    """Methods that it has and those that it has not; also those that a server of ours has when it stands alone."""
    assert client.call("system.getServerVersion") == "5.207.2"
    assert client.error("user.getAll")["code"] == -32601
    assert client.error("task.cancel", {"id": "of a pool"})["data"] == "task.cancel"
    assert client.error("system.methodSignature", {"method": "vm.start"})["data"] == "system.methodSignature"


def test_our_tasks_are_cancelled_and_forgotten_here(site: Any, client: Any) -> None:
    """The button that XO's pages show beside them."""
    id = client.call("warmMigration.start", **WARM)
    assert client.call("task.cancel", id=id) is True
    assert site.engine.report(id).phase is Phase.CANCELLED
    assert client.call("task.destroy", id=id) is True
    assert site.engine.report(id).task_forgotten
    assert client.error("task.destroy", {"id": "of a pool"})["data"] == "task.destroy"


@pytest.mark.parametrize("method", ["vm.warmMigration", "warmMigration.start"])
def test_only_upstreams_administrators_may_migrate(
    new_client: Callable[..., Any], viewer: Any, site: Any, method: str
) -> None:
    """Others, and strangers, get XO's own error."""
    assert viewer.error(method, WARM) == NOT_ADMIN
    assert new_client(None).error(method, WARM) == NOT_ADMIN
    assert site.engine.users == []


def test_who_signs_out_or_in_again_is_judged_anew(client: Any) -> None:
    """On the same connection."""
    assert isinstance(client.call("warmMigration.list"), list)
    client.call("session.signOut")
    assert client.error("warmMigration.list") == NOT_ADMIN
    client.call("session.signIn", token="xo-token")
    assert isinstance(client.call("warmMigration.list"), list)
    client.call("session.signInWithPassword", email="viewer@xo.example", password=PASSWORD)
    assert client.error("warmMigration.list") == NOT_ADMIN


def test_a_sign_in_that_fails_leaves_who_was_there(client: Any) -> None:
    """As on an xo-server, with its answer."""
    assert client.error("session.signIn", {"email": "root@xo.example", "password": "no"})["code"] == 3
    assert isinstance(client.call("warmMigration.list"), list)


def test_a_user_whom_upstream_changes_is_changed_for_us_at_once(xo: Any, client: Any) -> None:
    """One who is no administrator any more, and one who is there no more."""
    xo.users["root@xo.example"]["permission"] = "none"
    assert client.error("warmMigration.list") == NOT_ADMIN
    del xo.users["root@xo.example"]
    error = client.error("vm.warmMigration", WARM)
    assert (error["code"], error["data"]) == (1, {"id": "user-1", "type": "user"})


def test_an_answer_that_a_client_can_cause_makes_nobody_an_administrator(
    site: Any, xo: Any, new_client: Callable[..., Any]
) -> None:
    """Two calls with one id: the good answer of one is not taken for a sign-in by the other."""
    xo.raw["system.getVersion"] = '{"id":{id},"jsonrpc":"2.0","result":{"id":"x","permission":"admin","email":"a"}}'
    stranger = new_client(None)
    stranger.socket.send('{"jsonrpc":"2.0","id":7,"method":"session.signIn","params":{"token":"no"}}')
    stranger.socket.send('{"jsonrpc":"2.0","id":7,"method":"system.getVersion"}')
    stranger.take()
    stranger.take()
    assert stranger.error("warmMigration.list") == NOT_ADMIN


def test_our_questions_to_upstream_are_not_answered_to_the_client(site: Any, xo: Any, client: Any) -> None:
    """A client would fail at an answer that it knows nothing of; and no question has an id that one can know before."""
    client.call("warmMigration.list")
    client.call("system.getServerVersion")
    asked = [json.loads(frame)["id"] for frame in xo.frames if "session.getUser" in frame]
    assert len(asked) == len(set(asked)) == 2
    assert all(id.startswith("xo_warmig:") and len(id) > 30 for id in asked)
    assert client.answers == {}


def test_a_stranger_has_upstream_asked_nothing(xo: Any, new_client: Callable[..., Any]) -> None:
    """It would keep each as a failed task."""
    new_client(None).error("warmMigration.list")
    assert xo.frames == []


def test_reserved_and_optional_parameters_are_understood(site: Any, client: Any) -> None:
    """``_log`` goes, ``foo?`` is foo; both as on an xo-server."""
    given = {"vm": "v", "sr?": "s", "startDestinationVm?": True, "deleteSourceVm": False, "nothing?": 1, "_log": False}
    id = client.call("warmMigration.start", **given)
    assert site.engine.report(id).sr == "s"


def test_bad_parameters_are_told_in_xos_shape(client: Any) -> None:
    """Code 10, with each that is wrong."""
    error = client.error(
        "vm.warmMigration", {"vm": "v", "sr": "s", "startDestinationVm": "true", "deleteSourceVm": True}
    )
    assert error["code"] == 10
    assert [one["instancePath"] for one in error["data"]["errors"]] == ["/startDestinationVm"]


def test_a_malformed_call_of_ours_is_refused_here(xo: Any, client: Any) -> None:
    """And not passed on: upstream would make a migration of its own of what it takes for a call."""
    before = len(xo.frames)
    client.socket.send('{"jsonrpc":"2.0","id":null,"method":"vm.warmMigration","params":{}}')
    assert client.wait(None)["error"]["code"] == -32600
    client.socket.send('{"jsonrpc":"2.0","method":"vm.warmMigration","params":{}}')
    client.socket.send('{"method":"vm.start","jsonrpc":"2.0","id":5,"params":{},"meth\\u006fd":"vm.warmMigration"}')
    assert client.wait(5)["error"]["code"] == 10
    assert len([frame for frame in xo.frames[before:] if "getUser" not in frame]) == 0


def test_an_object_that_only_upstream_knows_names_what_is_missing(site: Any, client: Any) -> None:
    """XO's own words first, then which pool's password, and how it is given; an object that nobody knows is code 1."""
    for id, type in (("vm-1", "VM"), ("sr-1", "SR")):
        site.engine.refuse["v"] = NoSuchObject("no such", evidence={"id": id, "type": type})
        error = client.error("vm.warmMigration", WARM)
        assert error["code"] == -32000
        assert error["message"].startswith(f"no connection found for object {id}: ")
        assert "branch office" in error["message"]
        assert "xo-warmig server add" in error["message"]
        assert (error["data"]["code"], error["data"]["evidence"]["pool"]) == ("POOL_NOT_ADDED", "pool-9")
    site.engine.refuse["v"] = NoSuchObject("no such VM", evidence={"id": "vm-5", "type": "VM"})
    assert client.error("vm.warmMigration", WARM)["code"] == 1


def test_calls_in_flight_are_bounded(site: Any, client: Any) -> None:
    """The one too many is refused with a reason; what passes is upstream's to bound."""
    for count in range(3):
        client.send("vm.warmMigration", WARM)
        site.wait_for_migration(count + 1)
    assert "more than 3 calls in flight" in client.error("warmMigration.list")["message"]
    assert client.call("system.getServerVersion") == "5.207.2"


def test_a_call_waits_for_nobody_elses(xo: Any, client: Any) -> None:
    """Calls run side by side, and are answered as they complete."""
    xo.held["system.getServerVersion"] = asyncio.Event()
    held = client.send("system.getServerVersion")
    assert isinstance(client.call("warmMigration.list"), list)
    xo.call(xo.held.pop("system.getServerVersion").set)
    assert client.wait(held)["result"] == "5.207.2"


def test_the_audit_says_that_upstream_signed_the_caller_in(site: Any, client: Any) -> None:
    """The same name may stand for another user here."""
    client.call("warmMigration.start", **WARM)

    def last() -> Any:
        with site.database.reading() as connection:
            return connection.execute(select(audit).order_by(audit.c.position.desc())).first()

    wait_until(lambda: last().outcome == 0)
    assert (last().user, last().method) == ("root@xo.example (upstream)", "warmMigration.start")


def test_pools_passwords_are_not_learnt_unasked(site: Any, client: Any) -> None:
    """By default what passes is nobody's business."""
    client.call("server.add", host="xen1.example", username="root", password="secret")
    client.call("warmMigration.list")
    client.call("server.getAll")
    assert site.stored() == []


def test_a_sign_in_is_answered_though_upstream_does_not_say_who_it_is(
    site: Any, xo: Any, new_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held for a while, not for ever; calls of ours wait for upstream's word."""
    monkeypatch.setattr(conversation, "_MOST_HELD_SECONDS", 0.05)
    held = xo.held["session.getUser"] = asyncio.Event()
    client = new_client()
    call = client.send("warmMigration.list")
    assert client.call("system.getServerVersion") == "5.207.2"
    assert call not in client.answers
    xo.call(held.set)
    assert "result" in client.wait(call)
