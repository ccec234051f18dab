"""What one address and one slow reader may cost over HTTP."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.api.settings import ApiSettings


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """Small enough to reach."""
    return ApiSettings(most_connections_per_address=4, slow_reader_seconds=0.5)


def test_streams_per_address_are_bounded(site: Any, client: Any, http_client: Any, eventually: Any) -> None:
    """Together with the websockets; one that ends makes room."""
    streams = [http_client.stream(path) for path in ("/events", "/tasks?watch=true", "/events")]
    for path in ("/events", "/tasks?watch=true"):
        full = http_client(path)
        assert (full.status, full.body) == (429, {"error": "more than 4 connections from one address"})
    assert http_client("/tasks").status == 200
    http_client.close()
    for stream in streams:
        stream.close()
    eventually(lambda: site.requests() == 1)  # the websocket's
    assert http_client.stream("/events").status == 200


def test_the_head_of_a_stream_is_no_stream(http_client: Any) -> None:
    """It ends."""
    head = http_client("/events", "HEAD")
    assert (head.status, head.body, head.headers["content-type"][:17]) == (200, "", "text/event-stream")


def test_a_reader_that_takes_nothing_is_dropped(
    site: Any, client: Any, http_client: Any, change: Callable[..., None], network: Callable[..., Any], eventually: Any
) -> None:
    """What waits for it meanwhile is the latest of each object."""
    client.close()  # it would be told of all this too
    eventually(lambda: site.requests() == 0)
    host, port = site.address.split(":")
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect((host, int(port)))
    peer.settimeout(20)
    peer.sendall(f"GET /rest/v0/events HTTP/1.1\r\nHost: x\r\nCookie: {http_client.cookie['Cookie']}\r\n\r\n".encode())
    text = b""
    while b'"id":"' not in text:
        text += peer.recv(1000)
    id = text.split(b'"id":"')[1].split(b'"')[0].decode()
    assert http_client(f"/events/{id}/subscriptions", "POST", {"collection": "network"}).status == 201
    begun = time.monotonic()
    for number in range(40):
        change("network", n=network(f"{number} " + "x" * 1_000_000))
    eventually(lambda: site.requests() == 0, 20)
    assert time.monotonic() - begun >= 0.5
    left = b""
    try:
        while piece := peer.recv(1 << 20):
            left += piece
    except ConnectionError:
        pass
    peer.close()
    assert len(left) < 20_000_000
    change("network", n=None)
    assert json.loads(http_client.begin("/networks").getresponse().read()) == []
