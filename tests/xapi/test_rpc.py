"""One XML-RPC connection: what it sends, and what it makes of a log-out."""

import http.server
import threading
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import pytest
import XenAPI

from xo_warmig.xapi.address import Address
from xo_warmig.xapi.rpc import RpcSession
from xo_warmig.xapi.trust import Trust


class Master(http.server.HTTPServer):
    """Answers every call with ``answer``, and keeps the heads of requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answer: dict[str, Any] = {"Status": "Success", "Value": "OpaqueRef:1"}
        self.heads: list[dict[str, str]] = []


class Request(http.server.BaseHTTPRequestHandler):
    server: Master

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heads.append({key.lower(): text for key, text in self.headers.items()})
        body = xmlrpc.client.dumps((self.server.answer,), methodresponse=True).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def master() -> Iterator[Master]:
    with Master() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connect(master: Master, origin: str) -> RpcSession:
    return RpcSession(Address("http", "127.0.0.1", master.server_port), Trust(allow_unauthorized=False), origin=origin)


def test_every_call_says_whose_it_is(master: Master) -> None:
    """XAPI puts what stands in this header into the task of the call. The head stays far below the 1024 bytes that it takes."""
    rpc = connect(master, "server-1/now")
    for _ in range(2):
        rpc.call("OpaqueRef:s", "Async.VM.start", ("OpaqueRef:vm",))
        rpc.close()
    assert [head["x-http-other-config-xo_warmig"] for head in master.heads] == ["server-1/now"] * 2
    assert sum(len(key) + len(text) + 4 for key, text in master.heads[0].items()) < 512


def test_no_origin_sends_no_header(master: Master) -> None:
    """A connection of nobody in particular."""
    rpc = connect(master, "")
    rpc.call("OpaqueRef:s", "Async.VM.start", ("OpaqueRef:vm",))
    rpc.close()
    assert not [key for key in master.heads[0] if key.startswith("x-http-other-config")]


@pytest.mark.parametrize("code", ["SESSION_INVALID", "HANDLE_INVALID"])
def test_a_session_that_is_gone_is_logged_out(master: Master, code: str) -> None:
    """Any other refusal is told: the session may still be there."""
    rpc = connect(master, "")
    master.answer = {"Status": "Failure", "ErrorDescription": [code, "OpaqueRef:s"]}
    rpc.log_out("OpaqueRef:s")
    master.answer = {"Status": "Failure", "ErrorDescription": ["HOST_IS_SLAVE", "127.0.0.2"]}
    with pytest.raises(XenAPI.Failure):
        rpc.log_out("OpaqueRef:s")
    rpc.close()


def test_an_interrupted_connection_sends_nothing(master: Master) -> None:
    """Not even one that was interrupted before it was connected."""
    rpc = connect(master, "server-1/now")
    rpc.interrupt()
    with pytest.raises(ConnectionAbortedError):
        rpc.call("OpaqueRef:1", "pool.get_all", ())
    rpc.close()
    assert master.heads == []
