"""Frames through a gateway: each arrives as it was sent, whatever it is, both ways and no faster than it is taken."""

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.gateway.messages.xo_server import PASSWORD

MIB = 1 << 20
ODD_RESULT = '{"z":1.50,"a":12345678901234567890,"a":[1e400,-0],"t":"\\ud83d\\u00e9é","b" :null , "o":{}}'


@pytest.mark.parametrize(
    "frame",
    [
        '{"id":-9007199254740991,"jsonrpc":"2.0","method":"m","params":{"b":1.50,"a":12345678901234567890,"a":"\\ud83d"}}',
        '{ "method" : "m" , "id" : "é\\u00e9" , "jsonrpc" : "2.0" }',
        '{"method":"m","params":[],"id":12345678901234567890123}',
        '{"id":1,"method":"m","method":"n"}',
        '{"jsonrpc":"2.0","method":"a notification"}',
        '{"id":5,"jsonrpc":"2.0","result":"an answer"}',
        '{"id":5,"jsonrpc":"2.0","method":"xo.getAllObjects","params":null}',
        '{"id":5,"method":"session.signIn","params":7}',
        "{no JSON",
        "5",
        "",
    ],
)
def test_a_clients_frame_reaches_upstream_as_it_was_sent(xo: Any, client: Any, frame: str) -> None:
    """Also what is no JSON: an xo-server says nothing to it, and the connection lives."""
    client.socket.send(frame)
    assert "result" in client.wait(client.send("system.getServerVersion"))
    assert frame in xo.frames


def test_bytes_of_a_client_are_text_for_upstream(xo: Any, client: Any) -> None:
    """Some clients send such frames, and an xo-server reads them."""
    client.socket.send('{"id":1,"jsonrpc":"2.0","method":"system.getServerVersion","x":"é"}'.encode())
    assert client.wait(1)["result"] == "5.207.2"


@pytest.mark.parametrize("method", ["odd.method", "xo.getAllObjects", "system.getMethodsInfo", "session.signIn"])
def test_upstreams_answer_reaches_the_client_as_it_was_sent(xo: Any, client: Any, method: str) -> None:
    """Numbers, order, doubles and escapes: also where it was looked at and nothing was to be put into it."""
    xo.raw[method] = '{"error":{"code":-32000,"data":' + ODD_RESULT + ',"message":"m"},"id":{id},"jsonrpc":"2.0"}'
    client.socket.send(json.dumps({"id": -9007199254740991, "jsonrpc": "2.0", "method": method}))
    expected = xo.raw[method].replace("{id}", "-9007199254740991")
    assert client.socket.recv(timeout=5) == expected


def test_notifications_reach_the_client_as_they_were_sent(xo: Any, new_client: Callable[..., Any]) -> None:
    """A client that is not signed in too: whom to tell is upstream's to decide."""
    client = new_client(None)
    client.call("system.getServerVersion")
    text = '{"jsonrpc":"2.0","method":"all","params":{"type":"enter","items":{"x":' + ODD_RESULT + "}}}"
    xo.say(text)
    assert client.socket.recv(timeout=5) == text


def test_a_binary_frame_of_upstream_is_text_for_the_client(xo: Any, client: Any) -> None:
    """Browsers break on others."""
    (peer,) = xo.peers
    xo.do(peer.websocket.send('{"jsonrpc":"2.0","method":"é"}'.encode()))
    assert client.socket.recv(timeout=5) == '{"jsonrpc":"2.0","method":"é"}'
    xo.do(peer.websocket.send(b"\xff"))
    assert client.call("system.getServerVersion") == "5.207.2"


def test_a_batch_is_refused_and_goes_nowhere(xo: Any, client: Any) -> None:
    """In it upstream would get calls that are ours."""
    before = len(xo.frames)
    warm = {"id": 5, "jsonrpc": "2.0", "method": "vm.warmMigration", "params": {}}
    client.socket.send(json.dumps([warm, {"jsonrpc": "2.0", "method": "n"}, warm | {"id": "x"}]))
    answers = json.loads(client.socket.recv(timeout=5))
    assert [(one["id"], one["error"]["code"]) for one in answers] == [(5, -32600), ("x", -32600)]
    client.socket.send('{"id":1,"params":' + "[" * 100_000 + "]" * 100_000 + "}")
    assert json.loads(client.socket.recv(timeout=5))["error"]["code"] == -32600
    assert client.call("system.getServerVersion") == "5.207.2"
    assert len(xo.frames) == before + 1


@pytest.mark.parametrize("path", ["/api/", "/v5/api/"])
def test_both_paths_of_xo_lead_to_upstreams_one(site: Any, xo: Any, new_client: Callable[..., Any], path: str) -> None:
    """Pages below /v5 open the second, which xo-server itself does not answer."""
    client = new_client(url=f"ws://{site.address}{path}")
    assert client.call("system.getServerVersion") == "5.207.2"
    assert client.call("warmMigration.list") is not None
    assert [peer.websocket.request.path for peer in xo.peers] == ["/api/"]


@pytest.mark.parametrize("path", ["/api/?x=1", "/v5/api/?x=1", "/api", "/api/x"])
def test_no_other_path_is_taken(site: Any, new_client: Callable[..., Any], path: str) -> None:
    """With an answer, where xo-server would leave a client waiting."""
    with pytest.raises(InvalidStatus, match="404"):
        new_client(None, url=f"ws://{site.address}{path}")


def test_a_page_of_another_origin_is_refused(site: Any, new_client: Callable[..., Any]) -> None:
    """Of our own it is admitted."""
    assert new_client(origin=f"http://{site.address}").call("system.getServerVersion")
    with pytest.raises(InvalidStatus, match="403"):
        new_client(origin="http://elsewhere.example")


def test_upstream_is_told_whose_connection_it_is(site: Any, xo: Any, client: Any) -> None:
    """What a client says of itself is not repeated."""
    (peer,) = xo.peers
    assert peer.headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
    assert peer.headers["X-Forwarded-Host"] == site.address
    assert "Origin" not in peer.headers


def test_large_frames_pass_both_ways(xo: Any, client: Any) -> None:
    """Objects of a large site are tens of MiB."""
    large = "é" * (12 * MIB)
    xo.raw["large"] = '{"id":{id},"jsonrpc":"2.0","result":"' + large + '"}'
    frame = '{"id":1,"jsonrpc":"2.0","method":"large","params":{"x":"' + large + '"}}'
    client.socket.send(frame)
    assert client.wait(1)["result"] == large
    assert xo.frames[-1] == frame


def test_more_than_100_mib_of_a_client_end_its_connection(xo: Any, client: Any) -> None:
    """As npm's ws does, with its code."""
    with contextlib.suppress(ConnectionClosed):  # while it is still sending, or after
        client.socket.send("x" * (101 * MIB))
    with pytest.raises(ConnectionClosed, match="1009"):
        client.socket.recv(timeout=20)
    assert xo.peers[0].closed.wait(10)


def test_a_message_in_pieces_is_one(xo: Any, client: Any) -> None:
    """And a ping between is answered."""
    pong = client.socket.ping()
    client.socket.send(iter(['{"id":1,"jsonrpc":"2.0",', '"method":"system.', 'getServerVersion"}']))
    assert client.wait(1)["result"] == "5.207.2"
    assert pong.wait(5)
    assert '{"id":1,"jsonrpc":"2.0","method":"system.getServerVersion"}' in xo.frames


def test_answers_come_in_upstreams_order(xo: Any, client: Any) -> None:
    """None passes another, though some are looked at."""
    xo.raw["xo.getAllObjects"] = '{"id":{id},"jsonrpc":"2.0","result":{}}'
    ids = [client.send("xo.getAllObjects" if number % 3 else "system.getServerVersion") for number in range(60)]
    order: list[int] = []
    while len(order) < 60:
        order.append(client.take()["id"])
    assert sorted(order) == sorted(ids)
    told = [json.loads(frame)["id"] for frame in xo.frames if '"id":' in frame]
    assert told[-60:] == ids


def test_a_clients_end_is_upstreams_end(xo: Any, new_client: Callable[..., Any]) -> None:
    """With its code, where a code may be sent."""
    for code in (1000, 4000, 1001):
        client = new_client()
        client.socket.close(code)
        peer = xo.peers[-1]
        assert peer.closed.wait(5)
        assert peer.close_code == code


def test_a_client_that_vanishes_leaves_nothing_behind(site: Any, xo: Any, client: Any) -> None:
    """Its leg to upstream ends too."""
    client.socket.socket.shutdown(socket.SHUT_RDWR)
    assert xo.peers[0].closed.wait(5)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 4321])
def test_upstreams_close_is_the_clients(xo: Any, client: Any, code: int) -> None:
    """After all that it sent before."""
    large = '{"jsonrpc":"2.0","method":"' + "x" * (16 * MIB) + '"}'  # more than the socket takes at once
    texts = [large, *(f'{{"jsonrpc":"2.0","method":"{number}"}}' for number in range(50))]
    (peer,) = xo.peers

    async def say_and_close() -> None:
        for text in texts:
            await peer.websocket.send(text)
        await peer.websocket.close(code, "why")

    xo.do(say_and_close())
    assert [client.socket.recv(timeout=5) for _ in texts] == texts
    with pytest.raises(ConnectionClosed) as closed:
        client.socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "why")


def test_the_end_of_a_token_ends_the_connection(xo: Any, client: Any) -> None:
    """Upstream closes at the next message, one of ours too, and answers nothing."""
    xo.peers[0].expires = True
    client.send("warmMigration.list")
    with pytest.raises(ConnectionClosed):
        client.take()
    assert client.answers == {}


def test_compression_is_not_forced_on_anybody(new_client: Callable[..., Any]) -> None:
    """A client that offers it, as browsers do, is served."""
    client = new_client(None, compression="deflate")
    assert client.call("session.signIn", email="root@xo.example", password=PASSWORD)["id"] == "user-1"


def test_a_redirect_is_not_followed(site: Any, xo: Any, new_client: Callable[..., Any]) -> None:
    """Passwords go to the upstream that the operator named, or nowhere."""
    xo.redirect = "ws://127.0.0.1:1/api/"
    with pytest.raises(InvalidStatus, match="502"):
        new_client(None)


def test_a_strangers_large_frame_is_not_received(xo: Any, new_client: Callable[..., Any]) -> None:
    """One that is signed in may send it."""
    stranger, client = new_client(None), new_client()
    stranger.socket.send("x" * (3 * MIB))
    with pytest.raises(ConnectionClosed, match="1009"):
        stranger.take()
    client.socket.send("x" * (3 * MIB))
    assert client.call("system.getServerVersion") == "5.207.2"
    client.call("session.signOut")
    client.socket.send("x" * (3 * MIB))
    with pytest.raises(ConnectionClosed, match="1009"):
        client.take()
