"""What one connection, one address and one slow reader may cost."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from xo_warmig.api.settings import MOST_FRAME_BYTES, ApiSettings

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
SETTINGS = ApiSettings(
    most_connections_per_address=5,
    most_calls_in_flight=3,
    most_bytes_before_sign_in=2000,
    most_frame_bytes_before_sign_in=4000,
    slow_reader_seconds=0.5,
    trusted_proxies=["127.0.0.1"],
)


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """Small enough to reach."""
    return SETTINGS


class RawPeer:
    """A websocket client over a socket that takes little and reads when told."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((host, int(port)))
        self.socket.sendall(
            b"GET /api/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " in self.socket.recv(4096)

    def send(self, method: str, /, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        payload = json.dumps(message).encode()
        self.send_head(len(payload))
        self.socket.sendall(payload)

    def send_head(self, length: int) -> None:
        """The head of a text frame, masked with zeros."""
        self.socket.sendall(b"\x81\xff" + length.to_bytes(8, "big") + bytes(4))

    def ask_for_much(self) -> None:
        """Sign in and ask for an answer of 60 MiB."""
        self.send("session.signIn", email="admin@admin.net", password="correct horse")
        assert b"permission" in self.socket.recv(4096)
        self.send("system.methodSignature", method="x" * (30 << 20))


@pytest.fixture
def raw_peer(site: Any) -> Iterator[RawPeer]:
    """Connected."""
    peer = RawPeer(site.address)
    yield peer
    peer.socket.close()


def test_calls_in_flight_are_bounded(site: Any, client: Any, eventually: Callable[..., Any]) -> None:
    """The one too many is refused with a reason, the others go on."""
    before = len(site.engine.users)
    for _ in range(3):
        client.send("vm.warmMigration", WARM)
    eventually(lambda: len(site.engine.users) == before + 3)
    error = client.error("system.getVersion")
    assert error["code"] == -32000
    assert "more than 3 calls in flight" in error["message"]
    site.do(lambda: site.engine.finish(site.engine.reports()[-1].id, "t"))
    eventually(lambda: "result" in client.wait(client.send("system.getVersion")))


def test_bytes_before_sign_in_are_bounded(new_client: Callable[..., Any]) -> None:
    """A stranger cannot make the server chew on large requests."""
    client = new_client(None)
    error = client.error("system.methodSignature", {"method": "x" * 3000})
    assert "before signing in" in error["message"]
    assert client.error("system.methodSignature", {"method": "x"})["code"] == 1


def test_a_large_frame_of_a_stranger_is_not_received(new_client: Callable[..., Any]) -> None:
    """It ends the connection; after signing in it is taken, and after signing out it is not."""
    stranger = new_client(None)
    stranger.socket.send("x" * 4001)
    with pytest.raises(ConnectionClosed) as closed:
        stranger.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    client = new_client()
    assert client.error("system.methodSignature", {"method": "x" * 4001})["code"] == 1
    client.call("session.signOut")
    client.socket.send("x" * 4001)
    with pytest.raises(ConnectionClosed):
        client.take()


def test_large_frames_are_taken(client: Any) -> None:
    """20 MiB in and out."""
    name = "x" * (20 << 20)
    assert client.error("system.methodSignature", {"method": name})["data"]["id"] == name


def test_a_frame_beyond_100_mib_ends_the_connection(raw_peer: RawPeer) -> None:
    """With code 1009, as npm's ws does, and as soon as its length is known."""
    raw_peer.send_head(MOST_FRAME_BYTES + 1)
    head, code = raw_peer.socket.recv(2), raw_peer.socket.recv(2)
    assert head[:1] == b"\x88"
    assert int.from_bytes(code, "big") == 1009


def test_a_peer_that_still_sends_learns_why(client: Any) -> None:
    """It gets to read the close frame though it is in the middle of a frame that nobody wants."""
    with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
        client.socket.send("x" * (MOST_FRAME_BYTES + 1))
        client.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_connections_per_address_are_bounded(new_client: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    """The sixth is refused; behind a trusted proxy each client's own address counts, and a closed one makes room."""
    behind = {"X-Forwarded-For": "192.0.2.1, 192.0.2.2"}
    clients = [new_client(None, additional_headers=behind) for _ in range(5)]
    with pytest.raises(InvalidStatus) as refused:
        new_client(None, additional_headers=behind)
    assert refused.value.response.status_code == 429
    assert new_client(None, additional_headers={"X-Forwarded-For": "192.0.2.3"}).call("system.getVersion") == "0.1"
    clients[0].close()

    def comes_in() -> bool:
        try:
            new_client(None, additional_headers=behind)
        except InvalidStatus:
            return False
        return True

    eventually(comes_in)


def test_a_peer_that_reads_nothing_is_dropped(site: Any, raw_peer: RawPeer, eventually: Callable[..., Any]) -> None:
    """After a while without taking a byte; the server keeps nothing for it."""
    raw_peer.ask_for_much()
    standing, started = len(site.connections()), time.monotonic()
    eventually(lambda: len(site.connections()) == standing - 1)
    assert time.monotonic() - started > SETTINGS.slow_reader_seconds


def test_a_peer_that_reads_slowly_is_kept(site: Any, raw_peer: RawPeer) -> None:
    """Little by little is enough, however long it takes in all."""
    raw_peer.ask_for_much()
    standing, started = len(site.connections()), time.monotonic()
    while time.monotonic() - started < 4 * SETTINGS.slow_reader_seconds:
        assert raw_peer.socket.recv(2048)
        time.sleep(SETTINGS.slow_reader_seconds / 20)
    assert len(site.connections()) == standing
