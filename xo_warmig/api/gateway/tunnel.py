"""Websockets that are not the API (consoles, updater, whatever comes): their messages pass both ways until one side ends it."""

import asyncio
import contextlib
import logging
from typing import Final

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from xo_warmig.api.gateway.headers import Header, to_client, to_upgrade, values
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.requests import shown
from xo_warmig.api.gateway.upstream import Upstream
from xo_warmig.api.gateway.websocket import Connect
from xo_warmig.api.settings import MOST_FRAME_BYTES

UPGRADE_SECONDS: Final = 10.0  # xo-server never answers an upgrade on a path that it does not know
_REFUSAL_SECONDS: Final = 5.0
_BAD_GATEWAY: Final = b"The Xen Orchestra server behind this gateway does not answer.\n"
_TIMEOUT: Final = b"The Xen Orchestra server behind this gateway did not take this websocket.\n"
_NO_CODE, _LOST = 1005, 1006
_NOT_SENT: Final = (None, _NO_CODE, _LOST, 1015)  # they say that no code was sent

log = logging.getLogger(__name__)


class Tunnel:
    """An ASGI application for websockets. A side that does not read holds the other back; silence may last."""

    def __init__(self, upstream: Upstream, peers: Peers, *, upgrade_seconds: float = UPGRADE_SECONDS) -> None:
        self._upstream = upstream
        self._context = upstream.ssl_context()
        self._peers = peers
        self._upgrade_seconds = upgrade_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            upstream = await self._connect(scope)
        except InvalidStatus as refused:
            answer = refused.response
            headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.raw_items()]
            await _refuse(answer.status_code, to_client(headers), bytes(answer.body or b""), receive, send)
        except TimeoutError:
            await _refuse(504, [], _TIMEOUT, receive, send)
        except (OSError, InvalidHandshake) as error:
            log.info("%s: upstream is gone: %s", shown(scope), error or type(error).__name__)
            await _refuse(502, [], _BAD_GATEWAY, receive, send)
        except (InvalidURI, ValueError):
            await _refuse(400, [], b"This is no path.\n", receive, send)
        else:
            await _Relay(upstream, receive, send).run()

    async def _connect(self, scope: Scope) -> ClientConnection:
        """Upstream's side, upgraded; asked as the client asked. Raises what websockets raises."""
        upstream = self._upstream
        headers = to_upgrade(scope["headers"], self._peers.of(scope))
        host = (values(scope["headers"], b"host") or [upstream.authority.encode()])[0].decode("latin-1")
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return await Connect(
            # Host is of the URL, and stays what the client wrote; the connection goes where upstream is.
            f"{'wss' if upstream.is_secure else 'ws'}://{host}{path}{'?' if query else ''}{query}",
            host=upstream.host,
            port=upstream.port,
            ssl=self._context,
            server_hostname=upstream.host if self._context else None,
            subprotocols=scope["subprotocols"] or None,
            additional_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
            user_agent_header=None,
            compression=None,
            proxy=None,
            max_size=MOST_FRAME_BYTES,
            max_queue=4,
            ping_interval=None,
            open_timeout=self._upgrade_seconds,
        )


class _Relay:
    """Between two sides that are both open."""

    def __init__(self, upstream: ClientConnection, receive: Receive, send: Send) -> None:
        self._upstream = upstream
        self._receive = receive
        self._send = send

    async def run(self) -> None:
        """Until one side ends; the other is closed with the same code."""
        await self._send({"type": "websocket.accept", "subprotocol": self._upstream.subprotocol})
        ways = [asyncio.create_task(self._pass_on()), asyncio.create_task(self._pass_back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            ends = await asyncio.gather(*ways, return_exceptions=True)
            self._upstream.transport.abort()
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, OSError):  # that one says that the client has gone
                raise end

    async def _pass_on(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (message := await self._receive())["type"] == "websocket.receive":
                text = message.get("text")
                await self._upstream.send(message["bytes"] if text is None else text)
        code = message.get("code", _NO_CODE)
        await self._upstream.close(1000 if code in _NOT_SENT else code, message.get("reason") or "")

    async def _pass_back(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await self._upstream.recv()
                await self._send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        code, reason = self._upstream.close_code, self._upstream.close_reason or ""
        if code == _LOST:
            return  # uvicorn then cuts the client's connection too
        await self._send({"type": "websocket.close", "code": 1000 if code in _NOT_SENT else code, "reason": reason})


async def _refuse(status: int, headers: list[Header], body: bytes, receive: Receive, send: Send) -> None:
    """An HTTP answer in place of the upgrade."""
    headers = headers or [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
    # uvicorn logs an error when this returns before the connection is gone, which is the second disconnect that it tells.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REFUSAL_SECONDS):
            await receive()
            await receive()
