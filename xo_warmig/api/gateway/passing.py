"""HTTP requests that are not ours: they pass to upstream and its answers pass back, as they come and byte for byte."""

import asyncio
import logging
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.endless import is_endless, until_closed
from xo_warmig.api.gateway.exchange import Exchange
from xo_warmig.api.gateway.headers import Header, has_body, to_client, to_upstream, with_host
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.requests import shown
from xo_warmig.api.gateway.upstream import UpstreamGone, target
from xo_warmig.api.rest.streaming import Streams

BAD_GATEWAY: Final = (
    "The Xen Orchestra server behind this gateway does not answer. Migrations that run here go on. "
    "The gateway's log says why it cannot be reached.\n"
)

log = logging.getLogger(__name__)


class Passing:
    """An ASGI application for HTTP. Nothing is buffered beyond a piece, nothing is unpacked, and nothing times out once connected.

    Streams of events end when ``streams`` are closed.
    """

    def __init__(self, connections: Connections, peers: Peers, streams: Streams) -> None:
        self._connections = connections
        self._streams = streams
        self._peers = peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage = _Passage(scope, receive, send, self._headers(scope), self._streams)
        try:
            await self._pass(passage)
        except UpstreamGone as gone:
            log.info("%s: upstream is gone: %s", shown(scope), gone)
            if not passage.answered:
                await refuse_gone(scope, receive, send)
            # Else it returns with the answer cut short, so that the server cuts the connection: the client must not take it for whole.

    def _headers(self, scope: Scope) -> list[Header]:
        return with_host(to_upstream(scope["headers"], self._peers.of(scope)), self._connections.upstream.authority)

    async def _pass(self, passage: "_Passage") -> None:
        if passage.repeatable:
            try:
                async with self._connections.exchange(fresh=False) as exchange:
                    await passage.run(exchange)
                return
            except UpstreamGone:
                if passage.answered:
                    raise
                self._connections.forget()  # it may have been closed while it was idle; the next one is new
        async with self._connections.exchange(fresh=True) as exchange:
            await passage.run(exchange)


async def refuse_gone(scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a request that upstream cannot be asked."""
    await PlainTextResponse(BAD_GATEWAY, 502)(scope, receive, send)


class _Passage:
    """One request on its way."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: list[Header], streams: Streams) -> None:
        self.answered = False
        self._method = scope["method"].encode("ascii")
        self._target = target(scope["raw_path"], scope["query_string"])
        self._headers = headers
        self._has_body = has_body(scope["headers"])
        self.repeatable = self._method in (b"GET", b"HEAD", b"OPTIONS") and not self._has_body
        self._receive = receive
        self._send = send
        self._streams = streams

    async def run(self, exchange: Exchange) -> None:
        """Until the answer is whole, or the client has gone. Raises UpstreamGone."""
        await exchange.ask(self._method, self._target, self._headers)
        if not self._has_body:
            await exchange.end()
        back = asyncio.create_task(self._pass_back(exchange))
        forth = asyncio.create_task(self._pass_on(exchange))
        try:
            await asyncio.wait((back, forth), return_when=asyncio.FIRST_COMPLETED)
        finally:
            forth.cancel()
            if not back.done():  # the client has gone, and nobody waits for the answer
                back.cancel()
            ends = await asyncio.gather(back, forth, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _pass_on(self, exchange: Exchange) -> None:
        """The request's body; returns when the client has gone."""
        takes = self._has_body
        while (message := await self._receive())["type"] == "http.request":
            if not takes:
                continue
            try:
                if message.get("body"):
                    await exchange.send(message["body"])
                if not message.get("more_body", False):
                    takes = False
                    await exchange.end()
            except UpstreamGone:  # it may have refused the rest; its answer says so
                takes = False

    async def _pass_back(self, exchange: Exchange) -> None:
        answer = await exchange.answer()
        self.answered = True
        headers = to_client(answer.headers)
        await self._send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        pieces = exchange.body()
        async for piece in until_closed(pieces, self._streams) if is_endless(headers) else pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
