"""Neither side is read faster than the other one takes, and who takes nothing is dropped."""

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.api.conftest import wait_until
from xo_warmig.api.settings import ApiSettings

MIB = 1 << 20


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """A reader that is slow is dropped soon."""
    return ApiSettings(slow_reader_seconds=1.0)


def test_a_client_that_does_not_read_holds_upstream_back_and_is_dropped(site: Any, xo: Any) -> None:
    """Nothing piles up here: of 400 MiB upstream can send but a part."""
    reader = socket.create_connection(site.address.split(":"))
    reader.sendall(
        b"GET /api/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    (peer,) = wait_until(lambda: xo.peers)
    sent: list[int] = []

    async def flood() -> None:
        with contextlib.suppress(ConnectionClosed):
            for number in range(100):
                await peer.websocket.send("x" * (4 * MIB))
                sent.append(number)

    asyncio.run_coroutine_threadsafe(flood(), xo.loop)
    assert peer.closed.wait(10), "it was not dropped"
    assert len(sent) < 14, "more than what sockets hold"
    reader.close()


def test_an_upstream_that_does_not_read_holds_its_client_back(xo: Any, client: Any) -> None:
    """Ours are answered all the same until then."""
    (peer,) = xo.peers
    xo.call(peer.websocket.transport.pause_reading)
    client.socket.socket.settimeout(0.5)
    sent = 0
    started = time.monotonic()
    with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
        while time.monotonic() - started < 20:
            client.socket.send("x" * MIB)
            sent += 1
    assert sent < 60
    xo.call(peer.websocket.transport.abort)
