"""Websockets that are not the API: consoles and whatever else upstream has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from xo_warmig.api.gateway.certificate import Certificate
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.tunnel import Tunnel
from xo_warmig.api.gateway.upstream import Upstream

BINARY = Subprotocol("binary")
CONSOLE = "/v5/api/consoles/a%2Fb?x=%20"


class Console:
    """A websocket server that keeps what it was asked, and echoes until it is told to close."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.closed = asyncio.Queue[tuple[int | None, str | None]]()
        self.context: Any = None

    async def talk(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                if message == "close":
                    await connection.close(4001, "told to")
                elif message == "cut":
                    connection.transport.abort()
                else:
                    await connection.send(message)
        self.closed.put_nowait((connection.close_code, connection.close_reason))

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked.append(request)
        if request.path == "/refused":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "sign in\n")
        if request.path == "/moved":
            response = connection.respond(HTTPStatus.FOUND, "")
            response.headers["Location"] = "/signin"
            return response
        return None


@pytest.fixture
async def console() -> Console:
    return Console()


@pytest.fixture
async def tunnel(console: Console, serve: Any) -> AsyncIterator[str]:
    """The URL of a tunnel to it."""
    async with serve_websockets(
        console.talk,
        "127.0.0.1",
        0,
        process_request=console.admit,
        select_subprotocol=lambda _, offered: BINARY if BINARY in offered else None,
        max_size=None,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        async with serve(Tunnel(Upstream(scheme="http", host="127.0.0.1", port=port), Peers(()))) as url:
            yield url.replace("http", "ws", 1)


async def test_messages_pass_both_ways(tunnel: str) -> None:
    """Text as text, bytes as bytes, small and large."""
    async with connect(tunnel + CONSOLE, max_size=None, proxy=None) as client:
        for message in ("text \u20ac", b"\x00\xff", "", b"", bytes(8 << 20), "x" * (2 << 20)):
            await client.send(message)
            assert await client.recv() == message


async def test_an_upgrade_arrives_as_it_was_asked(tunnel: str, console: Console) -> None:
    """Path, query, cookie, origin and host; the sub-protocol is upstream's choice."""
    headers = {"Cookie": "token=a; clientId=b", "X-Forwarded-For": "192.0.2.1"}
    port = int(tunnel.rsplit(":", 1)[1])
    async with connect(
        "ws://xo.example:81" + CONSOLE,
        host="127.0.0.1",
        port=port,
        proxy=None,
        subprotocols=[Subprotocol("other"), BINARY],
        additional_headers=headers,
        origin=Origin("http://xo.example:81"),
        user_agent_header="agent",
    ) as client:
        assert client.subprotocol == "binary"
    (asked,) = console.asked
    assert asked.path == CONSOLE
    expected = {
        "Host": "xo.example:81",
        "Cookie": "token=a; clientId=b",
        "Origin": "http://xo.example:81",
        "User-Agent": "agent",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "xo.example:81",
    }
    assert {name: asked.headers.get_all(name) for name in expected} == {name: [of] for name, of in expected.items()}
    assert "Sec-WebSocket-Extensions" not in asked.headers


async def test_the_end_passes_both_ways(tunnel: str, console: Console) -> None:
    """With its code and reason; a connection that is cut on one side is cut on the other."""
    async with connect(tunnel + CONSOLE, proxy=None) as client:
        await client.close(4002, "enough")
    assert await asyncio.wait_for(console.closed.get(), 5) == (4002, "enough")
    for word, code, reason in (("close", 4001, "told to"), ("cut", 1006, "")):
        async with connect(tunnel + CONSOLE, proxy=None) as client:
            await client.send(word)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)
            assert (client.close_code, client.close_reason) == (code, reason)


async def test_a_client_that_vanishes_is_told_upstream(tunnel: str, console: Console) -> None:
    """Its console would stay open else."""
    client = await connect(tunnel + CONSOLE, proxy=None)
    client.transport.abort()
    assert await asyncio.wait_for(console.closed.get(), 5)


async def test_a_side_that_does_not_read_holds_the_other_back(tunnel: str) -> None:
    """What cannot be delivered does not pile up in the gateway."""
    async with connect(tunnel + CONSOLE, proxy=None, max_queue=1) as client:
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 512 << 20:
                await asyncio.wait_for(client.send(bytes(1 << 20)), 1)
                sent += 1 << 20
        client.transport.abort()
        assert sent < 64 << 20


@pytest.mark.parametrize(("path", "status"), [("/refused", 401), ("/moved", 302)])
async def test_a_refusal_passes(tunnel: str, path: str, status: int) -> None:
    """With its body; a redirect is the client's to follow."""
    with pytest.raises(InvalidStatus) as caught:
        await NoRedirect(tunnel + path, proxy=None)
    answer = caught.value.response
    assert answer.status_code == status
    assert answer.body == (b"sign in\n" if status == 401 else b"")
    assert answer.headers.get("Location") == (None if status == 401 else "/signin")


class NoRedirect(connect):
    """Shows redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def test_an_upgrade_that_upstream_ignores_is_a_504(serve: Any, speak: Any) -> None:
    """As xo-server does on a path that it does not know."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with speak(ignore) as url:
        upstream = Upstream(scheme="http", host="127.0.0.1", port=int(url.rsplit(":", 1)[1]))
        async with serve(Tunnel(upstream, Peers(()), upgrade_seconds=0.2)) as url:
            with pytest.raises(InvalidStatus, match="504"):
                await connect(url.replace("http", "ws") + "/nowhere", proxy=None)


async def test_an_upstream_that_is_gone_is_a_502(serve: Any, speak: Any) -> None:
    """The client may try again."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with speak(close) as url:
        upstream = Upstream(scheme="http", host="127.0.0.1", port=int(url.rsplit(":", 1)[1]))
        async with serve(Tunnel(upstream, Peers(()))) as url:
            with pytest.raises(InvalidStatus, match="502"):
                await connect(url.replace("http", "ws") + CONSOLE, proxy=None)
    async with serve(Tunnel(upstream, Peers(()))) as url:
        with pytest.raises(InvalidStatus, match="502"):
            await connect(url.replace("http", "ws") + CONSOLE, proxy=None)


async def test_a_certificate_of_its_own_is_judged(serve: Any, pair: Any) -> None:
    """By its fingerprint here; another one is a 502."""
    console, own, other = Console(), pair("own"), pair("other")
    async with serve_websockets(console.talk, "127.0.0.1", 0, ssl=own.context) as server:
        port = server.sockets[0].getsockname()[1]
        for known in (own, other):
            certificate = Certificate(fingerprint=known.fingerprint)
            upstream = Upstream(scheme="https", host="127.0.0.1", port=port, certificate=certificate)
            async with serve(Tunnel(upstream, Peers(()))) as url:
                if known is own:
                    async with connect(url.replace("http", "ws") + CONSOLE, proxy=None) as client:
                        await client.send(b"x")
                        assert await client.recv() == b"x"
                else:
                    with pytest.raises(InvalidStatus, match="502"):
                        await connect(url.replace("http", "ws") + CONSOLE, proxy=None)
