"""The HTTP server: heads, limits, pages, and which path goes where."""

import http.client
import json
import socket
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from xo_warmig.simulator.faults import FaultKind, FaultOrder
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.request import BadHead, parse_head

Address = tuple[str, int]


@pytest.fixture
def connection(server: Address) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(*server, timeout=10)) as connection:
        yield connection


def exchange(server: Address, request: bytes) -> bytes:
    """Everything that the server sends until it closes."""
    with socket.create_connection(server, timeout=10) as raw:
        raw.sendall(request)
        answer = b""
        while chunk := raw.recv(1 << 16):
            answer += chunk
    return answer


def login_body() -> str:
    return xmlrpc.client.dumps(("root", "password"), "session.login_with_password")


@pytest.mark.parametrize("path", ["/", "/RPC2", "/xmlrpc", "/anything/else"])
def test_any_post_is_xml_rpc(connection: http.client.HTTPConnection, path: str) -> None:
    """With the headers of a real pool."""
    connection.request("POST", path, login_body())
    answer = connection.getresponse()
    body: Any = xmlrpc.client.loads(answer.read())[0]
    assert answer.status == 200
    assert body[0]["Status"] == "Success"
    assert answer.getheader("content-type") == "text/xml"
    assert answer.getheader("Access-Control-Allow-Origin") == "*"
    assert answer.getheader("cache-control") == "no-cache, no-store"


def test_a_connection_is_kept_for_the_next_call(connection: http.client.HTTPConnection) -> None:
    """Unless the client asks to close it."""
    for _ in range(3):
        connection.request("POST", "/", login_body())
        answer = connection.getresponse()
        answer.read()
        assert answer.getheader("connection") == "keep-alive"
        assert connection.sock is not None


def test_latency_is_a_round_trip_for_each_call(pool: SimPool, connection: http.client.HTTPConnection) -> None:
    """Its answer comes that much later, whatever the protocol; a connection that is kept costs no more."""
    pool.config = msgspec.structs.replace(pool.config, latency_seconds=0.1)
    request = {"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["root", "password"], "id": 7}
    for path, body in (("/", login_body()), ("/jsonrpc", json.dumps(request))):
        begun = time.monotonic()
        connection.request("POST", path, body)
        assert connection.getresponse().read()
        assert 0.1 <= time.monotonic() - begun < 1


def test_json_rpc_has_exactly_its_content_type(connection: http.client.HTTPConnection) -> None:
    """Xen Orchestra falls back to XML-RPC for any other."""
    request = {"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["root", "password"], "id": 7}
    connection.request("POST", "/jsonrpc", json.dumps(request))
    answer = connection.getresponse()
    reply = json.loads(answer.read())
    assert answer.getheader("content-type") == "application/json"
    assert reply == {"jsonrpc": "2.0", "id": 7, "result": reply["result"]}
    connection.request("POST", "/jsonrpc", json.dumps(request | {"method": "VM.get_all", "params": ["nobody"]}))
    error = json.loads(connection.getresponse().read())["error"]
    assert error == {"code": 1, "message": "SESSION_INVALID", "data": ["nobody"]}


def test_the_first_json_rpc_gives_both_members(connection: http.client.HTTPConnection) -> None:
    """The error is the list of XML-RPC's ErrorDescription."""
    connection.request("POST", "/jsonrpc", json.dumps({"method": "VM.get_all", "params": ["nobody"], "id": 1}))
    assert json.loads(connection.getresponse().read()) == {
        "result": None,
        "error": ["SESSION_INVALID", "nobody"],
        "id": 1,
    }


def test_the_older_json_has_the_shape_of_xml_rpc(connection: http.client.HTTPConnection) -> None:
    """Status and Value."""
    connection.request("POST", "/json", json.dumps({"method": "system.isAlive:x", "params": ["x"]}))
    assert json.loads(connection.getresponse().read()) == {"Status": "Success", "Value": "x"}


@pytest.mark.parametrize("body", ["rubbish", "<methodResponse/>", "<?xml version='1.0'?><methodCall>"])
def test_a_malformed_call_gets_a_page(connection: http.client.HTTPConnection, body: str) -> None:
    """An error of HTTP, not of the protocol."""
    connection.request("POST", "/", body)
    answer = connection.getresponse()
    assert (answer.status, answer.reason) == (500, "Internal Error")
    assert answer.getheader("content-type") == "text/html"
    answer.read()


def test_text_that_is_not_utf_8_is_an_invalid_value(connection: http.client.HTTPConnection) -> None:
    """That one is told by the protocol."""
    connection.request("POST", "/", login_body().encode().replace(b"root", b"r\xfft"))
    body: Any = xmlrpc.client.loads(connection.getresponse().read())[0]
    assert body[0]["ErrorDescription"][:2] == ["INVALID_VALUE", "Invalid UTF-8 string in parameter"]


def test_a_notification_is_refused(connection: http.client.HTTPConnection) -> None:
    """A JSON-RPC request needs an id."""
    connection.request("POST", "/jsonrpc", json.dumps({"method": "VM.get_all", "params": []}))
    answer = connection.getresponse()
    assert answer.status == 500
    answer.read()


def test_calls_have_a_length_and_a_limit(server: Address) -> None:
    """300 KiB; no chunked bodies."""
    assert exchange(server, b"POST / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 500 Internal Error\r\n")
    assert exchange(server, b"POST / HTTP/1.1\r\nContent-Length: 307201\r\n\r\n").startswith(b"HTTP/1.1 500 ")


def test_a_head_has_1024_bytes_at_most(server: Address) -> None:
    """Request line and headers together."""

    def head(size: int) -> bytes:
        start = b"GET / HTTP/1.1\r\nConnection: close\r\nX: "
        return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"

    assert exchange(server, head(1024)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert exchange(server, head(1027)).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert exchange(server, b"GET /" + b"x" * 5000).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"DELETE / HTTP/1.1", b"501 Method not implemented"),
        (b"GET /nothing HTTP/1.1", b"403 Forbidden"),
        (b"PUT / HTTP/1.1", b"403 Forbidden"),
        (b"GET / HTTP/1.0", b"200 OK"),
        (b"nonsense", b"500 Internal Error"),
    ],
)
def test_everything_else_gets_a_page(server: Address, request_line: bytes, status: bytes) -> None:
    """And the connection ends."""
    assert exchange(server, request_line + b"\r\n\r\n").startswith(b"HTTP/1.1 " + status + b"\r\n")


def test_options_is_for_browsers(connection: http.client.HTTPConnection) -> None:
    """They ask before they post."""
    connection.request("OPTIONS", "/jsonrpc")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    assert answer.getheader("Access-Control-Allow-Headers") == "X-Requested-With"


def test_disks_need_a_session(server: Address, pool: SimPool) -> None:
    """One that is named and valid, or credentials."""
    assert exchange(server, b"GET /export_raw_vdi?vdi=x&session_id=nobody HTTP/1.1\r\n\r\n").startswith(
        b"HTTP/1.1 401 "
    )
    basic = b"Authorization: Basic cm9vdDpwYXNzd29yZA==\r\n"
    answer = exchange(server, b"GET /export_raw_vdi?vdi=x HTTP/1.1\r\n" + basic + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    end = time.monotonic() + 10
    while pool.db.refs("session") and time.monotonic() < end:
        time.sleep(0.005)
    assert pool.db.refs("session") == [], "the request's own session ends with it"


@pytest.mark.parametrize("way", ["XML-RPC", "JSON-RPC"])
def test_headers_give_the_task_of_a_call_its_keys(
    connection: http.client.HTTPConnection, pool: SimPool, way: str
) -> None:
    """By which a client finds a task whose reference it never got. As in xapi the key is in lower case, after ``http:``."""
    session = pool.sessions.login("root", "tests", pool.master)
    headers = {"X-HTTP-other-config-XO_warmig.Step": "m/3:Snapshot", "x-http-other-configx": "no", "X-Other": "no"}
    parameters = (session, pool.db.row("pool", pool.pool_ref)["default_SR"])

    def ask(method: str) -> Any:
        if way == "XML-RPC":
            connection.request("POST", "/", xmlrpc.client.dumps(parameters, method), headers)
            body: Any = xmlrpc.client.loads(connection.getresponse().read())[0]
            return body[0]["Value"]
        call = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
        connection.request("POST", "/jsonrpc", json.dumps(call), headers)
        return json.loads(connection.getresponse().read())["result"]

    task = ask("Async.SR.scan")
    assert pool.db.field("task", task, "other_config") == {"http:xo_warmig.step": "m/3:Snapshot"}


def test_a_call_that_waits_has_them_too(connection: http.client.HTTPConnection, pool: SimPool) -> None:
    """In the task that xapi makes for it, which is there as long as the call lasts."""
    session = pool.sessions.login("root", "tests", pool.master)
    pool.faults.add(FaultOrder(kind=FaultKind.HANG, match="SR.scan"))
    sr = pool.db.row("pool", pool.pool_ref)["default_SR"]
    body = xmlrpc.client.dumps((session, sr), "SR.scan")
    connection.request("POST", "/", body, {"X-Http-Other-Config-Dbg": "7"})
    end = time.monotonic() + 10
    while not (tasks := pool.db.refs("task")) and time.monotonic() < end:
        time.sleep(0.005)
    assert pool.db.field("task", tasks[0], "other_config") == {"http:dbg": "7"}
    pool.faults.clear()
    connection.getresponse().read()
    assert pool.db.refs("task") == []


def test_cookies_win_over_the_query() -> None:
    """Separated by a semicolon or an ampersand."""
    head = parse_head([b"GET /x?a=1&b=2&c= HTTP/1.1\r\n", b"Cookie: a=3; d=4&e=5%20\r\n"])
    assert head.args == {"a": "3", "b": "2", "c": "", "d": "4", "e": "5 "}


def test_a_head_is_read_without_regard_to_case() -> None:
    """Names of headers are lower-case afterwards."""
    head = parse_head([b"PUT /import_raw_vdi/ HTTP/1.1\r\n", b"CONTENT-Length:  5 \r\n", b"Connection: Close\r\n"])
    assert (head.path, head.headers["content-length"], head.keep_alive) == ("/import_raw_vdi/", "5", False)


def test_what_is_no_head_is_refused() -> None:
    """Rather than guessed at."""
    with pytest.raises(BadHead):
        parse_head([b"GET / HTTP/1.1\r\n", b"no colon\r\n"])
