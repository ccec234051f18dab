"""Frames through a real server: framing, sign-in, permissions, side by side, the methods as clients call them."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from xo_warmig.api.tokens import LEAST_LIFETIME_MS
from xo_warmig.api.xo_errors import INVALID_JSON, INVALID_REQUEST
from xo_warmig.errors import NoSuchObject, PoolUnreachable

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
PASSWORD = "correct horse"
EMAIL = "admin@admin.net"


def test_ids_come_back_exactly(client: Any) -> None:
    """Numbers near -2^53, floats and texts are echoed as they were written."""
    for id in ("-9007199254740991", "12345678901234567890123", "1.50", '"a\\u00e9"', "0"):
        client.socket.send(f'{{"jsonrpc":"2.0","id":{id},"method":"system.getVersion"}}')
        assert f'"id":{id}' in client.socket.recv(timeout=5)


@pytest.mark.parametrize(
    ("frame", "code", "id"),
    [
        ("{", INVALID_JSON, None),
        ("nothing", INVALID_JSON, None),
        ("[" * 100_000, INVALID_JSON, None),
        ("3", INVALID_REQUEST, None),
        ("[]", INVALID_REQUEST, None),
        ('{"jsonrpc":"2.0","id":null,"method":"system.getVersion"}', INVALID_REQUEST, None),
        ('{"jsonrpc":"2.0","id":true,"method":"system.getVersion"}', INVALID_REQUEST, None),
        ('{"jsonrpc":"2.0","id":5,"method":"system.getVersion","params":null}', INVALID_REQUEST, 5),
        ('{"jsonrpc":"1.1","id":5,"method":"system.getVersion"}', INVALID_REQUEST, 5),
        ('{"id":5,"method":"system.getVersion","params":{}}', INVALID_REQUEST, 5),
        ('{"jsonrpc":"2.0","id":5,"method":7}', INVALID_REQUEST, 5),
    ],
)
def test_a_malformed_frame_is_answered_and_the_socket_lives(client: Any, frame: str, code: int, id: int | None) -> None:
    """The error says what is wrong, and the next call works."""
    client.socket.send(frame)
    answer = json.loads(client.socket.recv(timeout=5))
    assert (answer["error"]["code"], answer["id"]) == (code, id)
    assert "result" not in answer
    assert client.call("system.getVersion") == "0.1"


def test_json_rpc_1_is_understood(client: Any) -> None:
    """Without ``jsonrpc``, params are an array, and the answer is 2.0 all the same."""
    client.socket.send('{"id":1,"method":"system.getVersion","params":[]}')
    assert client.wait(1)["result"] == "0.1"


def test_a_batch_is_answered_by_an_array(client: Any) -> None:
    """Notifications in it get no answer, what is no message gets an error."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "system.getVersion"}
    client.socket.send(json.dumps([call, {"jsonrpc": "2.0", "method": "x"}, 3]))
    answers = json.loads(client.socket.recv(timeout=5))
    assert [(a["id"], a.get("result"), a.get("error", {}).get("code")) for a in answers] == [
        (1, "0.1", None),
        (None, None, INVALID_REQUEST),
    ]


def test_notifications_and_answers_of_a_client_are_ignored(client: Any) -> None:
    """They are not executed and not answered."""
    client.socket.send('{"jsonrpc":"2.0","method":"session.signOut"}')
    client.socket.send('{"jsonrpc":"2.0","id":1,"result":5}')
    assert client.call("session.getUser")["email"] == EMAIL


def test_a_binary_frame_is_read_as_text(client: Any) -> None:
    """Some clients send bytes; the answer is text."""
    client.socket.send(b'{"jsonrpc":"2.0","id":1,"method":"system.getVersion"}')
    assert client.wait(1)["result"] == "0.1"


def test_unknown_method(new_client: Callable[..., Any]) -> None:
    """XO's own error, also to somebody who is not signed in, and without data but the name."""
    error = new_client(None).error("no.suchMethod", {})
    assert error == {"code": -32601, "message": "method not found: no.suchMethod", "data": "no.suchMethod"}


@pytest.mark.parametrize("path", ["/api/?x=1", "/api", "/api/x", "/", "/api%2F", "/v5/api/"])
def test_nothing_but_slash_api_slash(
    site: Any,
    new_client: Callable[..., Any],
    eventually: Callable[..., Any],
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another path, or a query, is refused at the upgrade, and that is no error of ours."""
    standing = len(site.connections())
    with pytest.raises(InvalidStatus) as refused:
        new_client(None, url=f"ws://{site.address}{path}")
    assert refused.value.response.status_code == 404
    eventually(lambda: len(site.connections()) <= standing)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/", "/api/", "/api/nothing"])
def test_plain_http_finds_nothing(site: Any, path: str) -> None:
    """There are no pages, and nothing to download that nobody offered."""
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(f"http://{site.address}{path}")
    assert answer.value.code == 404
    answer.value.close()


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [("http://evil.example", False), ("null", False), ("https://127.0.0.1", False), ("same", True)],
)
def test_a_page_of_another_origin_is_refused(
    site: Any, new_client: Callable[..., Any], origin: str, welcome: bool
) -> None:
    """A browser's Origin must be the host that it talks to."""
    given = f"http://{site.address}" if origin == "same" else origin
    if welcome:
        assert new_client(origin=given).call("system.getVersion") == "0.1"
        return
    with pytest.raises(InvalidStatus) as refused:
        new_client(None, origin=given)
    assert refused.value.response.status_code == 403


def test_sign_in_gives_the_user(new_client: Callable[..., Any]) -> None:
    """By each of the names, with XO's members and no password."""
    client = new_client(None)
    user = client.call("session.signIn", email=EMAIL, password=PASSWORD, otp="123456", plugin="tolerated")
    assert set(user) == {"id", "email", "groups", "permission", "preferences"}
    assert (user["email"], user["permission"], user["groups"]) == (EMAIL, "admin", [])
    assert client.call("session.signIn", username=EMAIL, password=PASSWORD) == user
    assert client.call("session.signInWithPassword", email=EMAIL, password=PASSWORD) == user
    token = client.call("token.create")
    assert new_client(None).call("session.signInWithToken", token=token) == user
    assert new_client(None).call("session.signIn", token=token) == user


@pytest.mark.parametrize("wrong", [{}, {"token": "nonsense"}, {"email": EMAIL}, {"email": EMAIL, "password": ""}])
def test_wrong_credentials(new_client: Callable[..., Any], wrong: dict[str, Any]) -> None:
    """Code 3 without data, and the socket stays open."""
    client = new_client(None)
    assert client.error("session.signIn", wrong) == {"code": 3, "message": "invalid credentials"}
    assert client.call("system.getVersion") == "0.1"


def test_guessing_is_slowed_down(site: Any, new_client: Callable[..., Any]) -> None:
    """After a wrong password, even the right one is refused for a while, and nothing else is."""
    site.do(lambda: site.accounts.users.add("slow@example.org", "no hash", permission="none"))
    client = new_client(None)
    assert client.error("session.signIn", {"email": "slow@example.org", "password": "x"})["code"] == 3
    error = client.error("session.signIn", {"email": "SLOW@example.org", "password": "y"})
    assert error["code"] == -32000
    assert "data" not in error
    assert client.call("session.signIn", email=EMAIL, password=PASSWORD)["email"] == EMAIL


def test_permissions(new_client: Callable[..., Any]) -> None:
    """Who is not signed in, or is no administrator, gets code 2 in XO's shape."""
    nobody, reader = new_client(None), new_client("reader@example.org")
    wanted = {"code": 2, "message": "not enough permissions", "data": {"permission": "admin", "object": {}}}
    assert nobody.error("vm.warmMigration", WARM) == wanted
    assert reader.error("vm.warmMigration", {}) == wanted, "permission comes before parameters"
    assert nobody.error("token.create", {})["data"] == {"object": {}}
    assert reader.error("token.create", {"_log": True}) == wanted
    assert reader.call("token.create")


def test_sign_out_forgets_the_user(client: Any) -> None:
    """The connection stays."""
    assert client.call("session.signOut") is True
    assert client.error("token.create", {})["code"] == 2
    assert client.error("session.getUser") == {"code": -32000, "message": "not signed in"}


def test_an_expired_token_closes_at_the_next_message(site: Any, new_client: Callable[..., Any]) -> None:
    """Without an answer."""
    client = new_client(None)
    token = site.do(lambda: make_token(site, ends_in_ms=3000))
    client.call("session.signIn", token=token)
    assert client.call("system.getVersion") == "0.1"
    time.sleep(3.05)
    client.send("system.getVersion")
    with pytest.raises(ConnectionClosed):
        client.take()


def make_token(site: Any, *, ends_in_ms: int) -> str:
    """A token of the shortest lifetime that was made long enough ago."""
    made_ms = site.accounts.now_ms() + ends_in_ms - LEAST_LIFETIME_MS
    user = site.accounts.users.find(EMAIL)
    token: str = site.accounts.tokens.create(
        user.id, made_ms, lifetime_ms=LEAST_LIFETIME_MS, description=None, client_id=None
    )
    return token


def test_missing_parameters_are_all_named(client: Any) -> None:
    """In the validator's own words and order."""
    error = client.error("vm.warmMigration", {"vm": "v", "sr": "s"})
    assert (error["code"], error["message"]) == (10, "invalid parameters")
    assert [(x["keyword"], x["params"]["missingProperty"], x["instancePath"]) for x in error["data"]["errors"]] == [
        ("required", "startDestinationVm", ""),
        ("required", "deleteSourceVm", ""),
    ]


def test_params_as_an_array_become_positions(client: Any) -> None:
    """JavaScript's spread: unknown properties 0 and 1, and the known ones missing."""
    errors = client.error("system.methodSignature", ["a", "b"])["data"]["errors"]
    assert [(x["keyword"], list(x["params"].values())) for x in errors] == [
        ("required", ["method"]),
        ("additionalProperties", ["0"]),
        ("additionalProperties", ["1"]),
    ]


def test_aliases_and_question_marks(client: Any) -> None:
    """``server`` serves as ``id``; ``x?`` is x, or nothing where it is not known."""
    id = client.call("server.add", **{"host": "alias", "username": "u", "password": "p", "label?": "L", "nothing?": 1})
    assert [s["label"] for s in client.call("server.getAll") if s["id"] == id] == ["L"]
    twice = client.error("server.remove", {"id": id, "id?": id})
    assert twice["code"] == 10
    assert client.call("server.remove", server=id, _log=False) is True


def test_calls_run_side_by_side(client: Any) -> None:
    """A migration that goes on for hours keeps nobody waiting."""
    slow = client.send("vm.warmMigration", WARM)
    for id in reversed([client.send("system.getServerVersion") for _ in range(20)]):
        assert "result" in client.wait(id)
    assert slow not in client.answers


def test_warm_migration(site: Any, client: Any, eventually: Callable[..., Any]) -> None:
    """The result is the target's uuid, and the tasks and reports tell of the way there."""
    before = len(site.engine.users)
    call = client.send("vm.warmMigration", WARM)
    eventually(lambda: len(site.engine.users) > before)
    assert site.engine.users[-1] == EMAIL
    id = site.engine.reports()[-1].id
    site.do(lambda: site.engine.move(id, phase="copying", progress=0.5, event=False))
    half = client.note(lambda n: n["method"] == "all" and n["params"]["items"].get(id, {}).get("progress") == 0.5)
    task = half["params"]["items"][id]
    assert (task["type"], task["status"], task["name_label"]) == ("task", "pending", "Warm migration of web")
    assert (task["allowedOperations"], task["applies_to"], task["$pool"]) == (["cancel"], "v", "pool-1")
    progress = client.note(lambda n: n["method"] == "warmMigration" and n["params"]["report"]["progress"] == 0.5)
    assert progress["params"]["event"] is None
    site.do(lambda: site.engine.finish(id, "target-uuid"))
    assert client.wait(call)["result"] == "target-uuid"
    done = client.note(
        lambda n: n["method"] == "all" and n["params"]["type"] == "enter" and n["params"]["items"][id]["progress"] == 1
    )
    assert done["params"]["items"][id]["status"] == "success"
    gone = client.note(lambda n: n["method"] == "all" and n["params"]["type"] == "exit")
    assert gone["params"]["items"] == {id: 0}
    last = client.note(lambda n: n["method"] == "warmMigration" and n["params"]["report"]["phase"] == "done")
    assert last["params"]["event"] == {"type": "phaseChanged", "phase": "done"}


def test_a_migration_outlives_its_caller(
    site: Any, new_client: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """The socket closes, the migration goes on and is found by its id."""
    leaver, stayer = new_client(), new_client()
    before = len(site.engine.users)
    leaver.send("vm.warmMigration", WARM | {"vm": "outlives"})
    eventually(lambda: len(site.engine.users) > before)
    leaver.close()
    id = site.engine.reports()[-1].id
    assert stayer.call("warmMigration.get", id=id)["phase"] == "copying"
    site.do(lambda: site.engine.finish(id, "t"))
    assert stayer.call("warmMigration.get", id=id)["targetVm"] == "t"


def test_migrations_by_id(client: Any) -> None:
    """Start gives the id at once; list, events and cancel know it."""
    id = client.call("warmMigration.start", **WARM)
    assert id in [report["id"] for report in client.call("warmMigration.list")]
    (event,) = client.call("warmMigration.events", id=id)
    assert event["event"] == {"type": "phaseChanged", "phase": "copying"}
    assert client.call("warmMigration.cancel", id=id) is True
    assert client.call("warmMigration.get", warmMigration=id)["phase"] == "cancelled"
    error = client.error("warmMigration.get", {"id": "none"})
    assert (error["code"], error["data"]["id"], error["data"]["type"]) == (1, "none", "migration")


def test_a_task_is_cancelled_as_xo_does(site: Any, client: Any) -> None:
    """``task.cancel`` with the id of the task on show."""
    id = client.call("warmMigration.start", **WARM)
    assert client.call("task.cancel", id=id) is True
    assert site.engine.report(id).phase == "cancelled"


def test_a_task_of_a_pool_is_cancelled_and_destroyed(site: Any, client: Any) -> None:
    """It is passed on; one that nobody has is no object, and a migration's is not forgotten while it goes on."""
    assert client.call("task.cancel", id="t") is True
    assert client.call("task.destroy", task="t") is True
    assert site.tasks.orders == [("cancel", "t"), ("destroy", "t")]
    missing = client.error("task.cancel", {"id": "nothing"})
    assert (missing["code"], missing["data"]["type"]) == (1, "task")
    id = client.call("warmMigration.start", **WARM)
    assert client.error("task.destroy", {"id": id})["code"] == 5
    site.do(lambda: site.engine.finish(id, "target"))
    assert client.call("task.destroy", id=id) is True
    assert site.engine.report(id).task_forgotten


def test_errors_of_the_engine(site: Any, client: Any) -> None:
    """XO's code and members, ours beside them."""
    site.engine.refuse["gone"] = NoSuchObject("no VM gone", evidence={"id": "gone"}, remedy="Look again.")
    error = client.error("vm.warmMigration", WARM | {"vm": "gone"})
    assert (error["code"], error["message"]) == (1, "no such object gone")
    assert error["data"]["id"] == "gone"
    assert (error["data"]["code"], error["data"]["remedy"]) == ("NO_SUCH_OBJECT", "Look again.")
    site.engine.refuse["down"] = PoolUnreachable("pool north does not answer", evidence={"objectId": "p1"})
    error = client.error("vm.warmMigration", WARM | {"vm": "down"})
    assert (error["code"], error["data"]["objectId"]) == (9, "p1")
    assert "north" in error["data"]["message"]


def test_a_defect_shows_nothing_of_the_exception(site: Any, client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets a reference, the log has the rest under it."""
    site.engine.refuse["bug"] = KeyError("secret-in-exception")
    error = client.error("vm.warmMigration", WARM | {"vm": "bug"})
    assert error["code"] == -32000
    assert "secret-in-exception" not in json.dumps(error)
    assert error["data"]["evidence"]["logged"] in caplog.text


def test_methods_info(new_client: Callable[..., Any]) -> None:
    """Public, and as XO writes it."""
    client = new_client(None)
    info = client.call("system.getMethodsInfo")
    warm = info["vm.warmMigration"]
    assert warm["permission"] == "admin"
    assert {k: warm["params"][k] for k in WARM} == {
        "vm": {"type": "string"},
        "sr": {"type": "string"},
        "startDestinationVm": {"type": "boolean"},
        "deleteSourceVm": {"type": "boolean"},
    }
    assert all(schema["optional"] for name, schema in warm["params"].items() if name not in WARM)
    assert (info["session.signIn"]["permission"], info["session.signIn"]["params"]) == (None, {})
    assert "permission" not in info["session.signOut"]
    assert info["token.create"]["params"]["expiresIn"] == {"type": ["number", "string"], "optional": True}
    assert client.call("system.listMethods") == list(info)
    (signature,) = client.call("system.methodSignature", method="vm.warmMigration")
    assert signature == {"name": "vm.warmMigration", **warm}
    assert client.error("system.methodSignature", {"method": "x.y"})["code"] == 1


def test_versions(client: Any) -> None:
    """Texts, and an IANA time zone."""
    assert client.call("system.getServerVersion").count(".") == 2
    assert client.call("system.getServerTimezone")


def test_tokens(new_client: Callable[..., Any]) -> None:
    """Created, refreshed for the same client, described, listed, deleted."""
    client = new_client()
    asked = {"description": "d", "client": {"id": "c1"}, "expiresIn": "2 days"}
    token = client.call("token.create", **asked)
    assert client.call("token.create", **asked) == token
    assert client.call("token.set", id=token, description=None) is True
    (mine,) = [t for t in client.call("user.getAuthenticationTokens") if t["id"] == token]
    assert mine["client"] == {"id": "c1"}
    assert "description" not in mine
    assert client.error("token.create", {"expiresIn": 1})["code"] == -32000
    assert client.call("token.deleteOwn", tokens=[token]) is True
    assert new_client(None).error("session.signIn", {"token": token})["code"] == 3


def test_servers(site: Any, client: Any) -> None:
    """Added, shown without the password, refused twice, disabled, enabled, removed."""
    asked = {"host": "https://north", "username": "root", "password": "secret-password", "allowUnauthorized": True}
    id = client.call("server.add", **asked)
    assert site.servers.credentials[id].password == "secret-password"
    (shown,) = [s for s in client.call("server.getAll") if s["id"] == id]
    assert "secret-password" not in json.dumps(shown)
    assert (shown["label"], shown["status"], shown["poolId"], shown["master"]) == (
        "north",
        "connected",
        "pool-1",
        "host-1",
    )
    assert (shown["enabled"], shown["readOnly"], shown["allowUnauthorized"]) == (True, False, True)
    assert (shown["fingerprint"], shown["encryption"]["protocol"]) == ("AA:BB", "TLSv1")
    assert [each["code"] for each in shown["weaknesses"]] == ["OLD_TLS", "NO_FORWARD_SECRECY"]
    again = client.error("server.add", asked | {"host": "NORTH/"})
    assert (again["code"], again["data"]) == (16, {"objectId": "NORTH/", "objectType": "server"})
    busy = client.error("server.enable", {"id": id})
    assert (busy["code"], busy["data"]["actual"], busy["data"]["property"]) == (25, "connected", "status")
    assert client.call("server.disable", id=id) is True
    assert client.call("server.enable", id=id) is True
    assert client.call("server.remove", id=id) is True
    assert client.error("server.remove", {"id": id})["code"] == 1


def test_a_fingerprint_is_given_for_a_server(site: Any, client: Any) -> None:
    """Pinned from the first; what is no SHA-256 is refused."""
    asked = {"host": "east", "username": "root", "password": "p", "autoConnect": False}
    wrong = client.error("server.add", asked | {"fingerprint": "AA:BB"})
    assert (wrong["code"], wrong["data"]["errors"][0]["instancePath"]) == (10, "/fingerprint")
    id = client.call("server.add", **asked, fingerprint=":".join(["0f"] * 32))
    assert site.servers.credentials[id].fingerprint == ":".join(["0f"] * 32)
    client.call("server.remove", id=id)


def test_a_server_is_changed(site: Any, client: Any) -> None:
    """Its names at any time, the rest while it is not connected; an address that another has, a proxy, and nonsense are refused."""
    id = client.call("server.add", host="west", username="root", password="p", label="lab")

    def shown() -> Any:
        return next(each for each in client.call("server.getAll") if each["id"] == id)

    assert client.call("server.set", id=id, label=None, readOnly=True) is True
    assert (shown()["label"], shown()["readOnly"]) == ("north", True)
    connected = client.error("server.set", {"id": id, "username": "other"})
    assert (connected["code"], connected["data"]["code"]) == (-32000, "SERVER_CONNECTED")
    assert shown()["username"] == "root"
    client.call("server.disable", server=id)
    assert client.call("server.set", id=id, host="https://me:secret@west2", label="new", httpProxy=None) is True
    assert (shown()["host"], shown()["username"], shown()["label"]) == ("https://west2", "me", "new")
    assert site.servers.credentials[id].password == "secret"
    other = client.call("server.add", host="west3", username="u", password="p", autoConnect=False)
    assert client.error("server.set", {"id": other, "host": "WEST2/"})["code"] == 16
    proxied = client.error("server.set", {"id": other, "httpProxy": "http://proxy"})
    assert (proxied["code"], proxied["data"]["errors"][0]["instancePath"]) == (10, "/httpProxy")
    assert client.error("server.set", {"id": "nothing", "label": "x"})["code"] == 1
    for each in (id, other):
        client.call("server.remove", id=each)


def test_a_server_that_is_down(client: Any) -> None:
    """Registered without connecting; enabling it names the pool."""
    id = client.call("server.add", host="down", username="u", password="p", autoConnect=False, label="gone")
    (shown,) = [s for s in client.call("server.getAll") if s["id"] == id]
    assert (shown["label"], shown["status"], shown["enabled"]) == ("gone", "disconnected", False)
    error = client.error("server.enable", {"id": id})
    assert (error["code"], error["data"]["evidence"]["pool"]) == (9, "north")


def test_no_notification_before_signing_in(site: Any, client: Any, new_client: Callable[..., Any]) -> None:
    """Nor to others in their place."""
    quiet = new_client(None)
    id = client.call("warmMigration.start", **WARM)
    client.note(lambda n: id in n["params"].get("items", {}))
    with pytest.raises(TimeoutError):
        quiet.take(0.2)


def test_users(client: Any) -> None:
    """Listed without their hashes."""
    assert {user["email"] for user in client.call("user.getAll")} >= {EMAIL, "reader@example.org"}
    assert "argon2" not in json.dumps(client.call("user.getAll"))
