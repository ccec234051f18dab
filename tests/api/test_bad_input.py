"""What makes no sense, against a server that runs: an answer as XO gives it where there is one, and the next call works."""

import json
import os
import socket
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.api.invocation import arguments
from xo_warmig.api.methods import METHODS
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import INVALID_JSON, XoError
from xo_warmig.errors import PoolError
from xo_warmig.model.phases import Phase

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}


def missing(name: str) -> dict[str, Any]:
    message = f"must have required property '{name}'"
    return shown("", "#/required", "required", {"missingProperty": name}, message)


def extra(name: str) -> dict[str, Any]:
    message = "must NOT have additional properties"
    return shown("", "#/additionalProperties", "additionalProperties", {"additionalProperty": name}, message)


def mistyped(name: str, kind: Any) -> dict[str, Any]:
    said = kind if isinstance(kind, str) else ",".join(kind)
    return shown(f"/{name}", f"#/properties/{name}/type", "type", {"type": kind}, f"must be {said}")


def shown(at: str, schema_at: str, keyword: str, params: dict[str, Any], message: str) -> dict[str, Any]:
    return {"instancePath": at, "schemaPath": schema_at, "keyword": keyword, "params": params, "message": message}


EMPTY = shown("/vm", "#/properties/vm/minLength", "minLength", {"limit": 1}, "must NOT have fewer than 1 characters")


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({key: value for key, value in WARM.items() if key != "vm"}, [missing("vm")]),
        (WARM | {"foo": 1}, [extra("foo")]),
        (WARM | {"vm": ""}, [EMPTY]),
        (WARM | {"sr": 1}, [mistyped("sr", "string")]),
        (WARM | {"deleteSourceVm": None}, [mistyped("deleteSourceVm", "boolean")]),
        (WARM | {"startDestinationVm": "true"}, [mistyped("startDestinationVm", "boolean")]),
        (WARM | {"startDestinationVm": 1}, [mistyped("startDestinationVm", "boolean")]),
        (["v", "s"], [*map(missing, WARM), extra("0"), extra("1")]),
        ({}, [*map(missing, WARM)]),
        ({"vm": 3, "x": 1}, [*map(missing, list(WARM)[1:]), extra("x"), mistyped("vm", "string")]),
        (WARM | {"maxPasses": 2**53}, [mistyped("maxPasses", "integer")]),
        (WARM | {"maxPasses": 1e300}, [mistyped("maxPasses", "integer")]),
        (WARM | {"targetDowntime": 10**400}, [mistyped("targetDowntime", "number")]),
    ],
)
def test_parameters_of_a_migration(site: Any, client: Any, params: Any, errors: list[dict[str, Any]]) -> None:
    """Word for word what Ajv tells XO's clients, and nothing is started."""
    before = len(site.engine.reports())
    refused = client.error("vm.warmMigration", params)
    assert refused == {"code": 10, "message": "invalid parameters", "data": {"errors": errors}}
    assert len(site.engine.reports()) == before


def test_a_union_names_all_of_its_types(client: Any) -> None:
    """In one error."""
    (error,) = client.error("xo.getAllObjects", {"filter": 3})["data"]["errors"]
    assert (error["instancePath"], sorted(error["params"]["type"])) == ("/filter", ["object", "string"])


def test_a_time_beyond_all_dates_stops_no_notification(site: Any, client: Any) -> None:
    """It is one that never comes."""
    id = client.call("warmMigration.start", **(WARM | {"commit": 2**53 - 1}))
    site.do(lambda: site.engine.move(id, phase=Phase.AWAITING_COMMIT, commit_time=float(2**53)))
    note = client.note(lambda note: "the end of time" in json.dumps(note["params"]))
    assert note["method"] == "all"
    assert id in client.call("xo.getAllObjects", filter=f"id:{id}")


def test_the_object_of_a_pools_error_is_named_by_its_id(site: Any, client: Any) -> None:
    """Where it is known; else the pool's own reference must do."""
    client.call("xo.getAllObjects")
    network = {"uuid": "n", "name_label": "n", "PIFs": [], "VIFs": [], "other_config": {}, "tags": []}
    site.do(lambda: site.records.change("p", [("network", "OpaqueRef:1", network)]))
    for ref, id in (("OpaqueRef:1", "n"), ("OpaqueRef:2", "OpaqueRef:2")):
        site.vms.refusal = PoolError("x", code="HOST_OFFLINE", evidence={"xapi": ["HOST_OFFLINE", ref]})
        refused = client.error("vm.start", {"id": "v"})
        assert (refused["code"], refused["data"]["objectId"]) == (18, id)
    site.vms.refusal = None


def test_numbers_that_json_has_not_are_null() -> None:
    """As in JavaScript."""
    assert to_json({"a": float("nan"), "b": float("inf")}) == '{"a":null,"b":null}'


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "NaN",
        "\ufeff{}",
        '{"a":' * 50_000,
        '{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1e400}}',
        '{"jsonrpc":"2.0","id":1,"method":"x","params":' + "[" * 3000 + "]" * 3000 + "}",
        '{"jsonrpc":"2.0","id":1,"method":"x"}}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_json_is_answered(client: Any, frame: str | bytes) -> None:
    """However odd."""
    client.socket.send(frame)
    answer = json.loads(client.socket.recv(timeout=5))
    assert (answer["error"]["code"], answer["id"]) == (INVALID_JSON, None)
    assert client.call("system.getVersion") == "0.1"


def test_a_flood_of_nonsense_is_answered(client: Any) -> None:
    """Every frame of it, on one socket, between calls."""
    for number in range(500):
        client.socket.send("{")
        client.socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "system.getVersion"}))
    answers = [json.loads(client.socket.recv(timeout=10)) for _ in range(1000)]
    assert sum(answer.get("error", {}).get("code") == INVALID_JSON for answer in answers) == 500
    assert {answer["id"] for answer in answers if "result" in answer} == set(range(500))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # text that is no UTF-8
        (b"\x81\x02{}", 1002),  # a client's frame that is not masked
        (b"\xf1\x82\0\0\0\0{}", 1002),  # bits that nobody has agreed on
        (b"\x83\x82\0\0\0\0{}", 1002),  # an operation that there is not
    ],
)
def test_what_is_no_websocket_ends_the_connection(site: Any, client: Any, frame: bytes, code: int) -> None:
    """With the protocol's own reason; others do not notice."""
    peer = upgraded(site.address)
    try:
        peer.sendall(frame)
        head = receive(peer, 4)
        assert head[0] == 0x88
        assert int.from_bytes(head[2:4], "big") == code
    finally:
        peer.close()
    assert client.call("system.getVersion") == "0.1"


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\1\2\3" * 100,
        b"GET /api/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        os.urandom(64) + b"\r\n\r\n",
    ],
    ids=["bytes", "no key", "long line", "many headers", "noise"],
)
def test_what_is_no_http_is_refused(site: Any, client: Any, sent: bytes) -> None:
    """The server lives."""
    host, port = site.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        try:
            peer.sendall(sent)
            answer = peer.recv(4096)
        except ConnectionError:
            answer = b""
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert client.call("system.getVersion") == "0.1"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=20)
VALUES = st.recursive(
    SCALARS | st.sampled_from([10**400, -(10**400), 1e308, 2**53]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A method and parameters, most of them under names that it has."""
    name = draw(st.sampled_from(sorted(METHODS)))
    own = [field.encode_name for field in msgspec.structs.fields(params)] if (params := METHODS[name].params) else []
    named = {each: draw(st.just("v") | st.booleans() | VALUES) for each in own if draw(st.booleans())}
    return name, named | draw(st.dictionaries(st.text(max_size=3), VALUES, max_size=1))


@settings(max_examples=120, deadline=None)
@given(call=calls())
def test_parameters_are_taken_or_refused(call: tuple[str, dict[str, Any]]) -> None:
    """Whatever they are: a defect never; and what is taken can be written down."""
    name, params = call
    code = 10
    try:
        msgspec.json.encode(arguments(METHODS[name], params))
    except XoError as refused:
        code = refused.code
    assert code == 10


def upgraded(address: str) -> socket.socket:
    host, port = address.split(":")
    peer = socket.create_connection((host, int(port)), timeout=10)
    peer.sendall(
        b"GET /api/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += receive(peer, 1)
    assert b" 101 " in answer
    return peer


def receive(peer: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        piece = peer.recv(count - len(received))
        assert piece, "the connection ended"
        received += piece
    return received
