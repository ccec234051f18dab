"""Lists of tasks: ours among upstream's, in the form that was asked for."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qsl

import h11
from starlette.types import ASGIApp, Receive, Scope, Send

from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.departure import unless_gone
from xo_warmig.api.gateway.endless import until_closed
from xo_warmig.api.gateway.exchange import Exchange
from xo_warmig.api.gateway.headers import Header, to_client, to_upstream, values, with_host
from xo_warmig.api.gateway.passing import refuse_gone
from xo_warmig.api.gateway.peers import Peers
from xo_warmig.api.gateway.requests import shown
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.lines import in_turn, side_by_side
from xo_warmig.api.gateway.rest.merging import joined
from xo_warmig.api.gateway.rest.mounts import unmounted
from xo_warmig.api.gateway.rest.own import OwnAnswer, answered
from xo_warmig.api.gateway.upstream import UpstreamGone, target
from xo_warmig.api.rest.listing import count
from xo_warmig.api.rest.streaming import Streams

# An answer that is ours in part is neither packed as upstream's was, nor the same as one that the client has.
_NOT_ASKED: Final = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"))
_NOT_SAID: Final = frozenset((b"content-length", b"etag", b"last-modified"))

log = logging.getLogger(__name__)


class Lists:
    """An ASGI application for GETs of a list that ``own`` has too, by administrators. What upstream refuses is refused."""

    def __init__(
        self, own: ASGIApp, connections: Connections, peers: Peers, callers: Callers, streams: Streams
    ) -> None:
        self._own = own
        self._streams = streams
        self._callers = callers
        self._connections = connections
        self._peers = peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        merged = _Merged(scope, send, self._callers, self._streams)
        try:
            await unless_gone(receive, self._run(merged, scope))
        except UpstreamGone as gone:
            log.info("%s: upstream is gone: %s", shown(scope), gone)
            if not merged.started:
                await refuse_gone(scope, receive, send)

    async def _run(self, merged: "_Merged", scope: Scope) -> None:
        headers = [header for header in scope["headers"] if header[0] not in _NOT_ASKED]
        own = answered(self._own, unmounted({**scope, "headers": headers}))
        async with self._connections.exchange(fresh=True) as exchange, own as ours:
            asked = with_host(to_upstream(headers, self._peers.of(scope)), self._connections.upstream.authority)
            await exchange.ask(b"GET", target(scope["raw_path"], scope["query_string"]), asked)
            await exchange.end()
            await merged.run(exchange, ours)


class _Merged:
    """One answer made of two."""

    def __init__(self, scope: Scope, send: Send, callers: Callers, streams: Streams) -> None:
        self.started = False
        self._streams = streams
        self._headers = scope["headers"]
        self._callers = callers
        self._query: dict[str, str] = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self._send = send

    async def run(self, exchange: Exchange, ours: OwnAnswer) -> None:
        if self._is("ndjson") and self._is("watch") and ours.status == 200:
            await self._watch(exchange, ours)
            return
        answer = await exchange.answer()
        if not self._fits(answer, ours):
            await self._pass(answer, exchange)
        elif self._is("ndjson"):
            await self._start(200, _changed(answer))
            await self._all(in_turn(ours.body(), exchange.body(), self._most()))
        else:
            whole = joined(await _whole(ours.body()), await _whole(exchange.body()), self._most())
            await self._start(200, [*_changed(answer), (b"content-length", b"%d" % len(whole))])
            await self._piece(whole, last=True)

    async def _watch(self, exchange: Exchange, ours: OwnAnswer) -> None:
        """xo-server says nothing, not even that it has heard, before a task of its own changes."""
        body = ours.body()
        answering = asyncio.create_task(exchange.answer())
        first = asyncio.create_task(anext(body, b""))
        try:
            await asyncio.wait((answering, first), return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and not self._fits(answering.result(), ours):
                await self._pass(answering.result(), exchange)
                return
            await self._start(200, _changed(answering.result()) if answering.done() else ours.headers)
            both = side_by_side(_after(answering, exchange), self._told(_behind(first, body)))
            await self._all(until_closed(both, self._streams))
        finally:
            answering.cancel()
            first.cancel()
            await asyncio.gather(answering, first, return_exceptions=True)

    def _told(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return self._callers.while_admin(self._headers, pieces)

    def _fits(self, answer: h11.Response, ours: OwnAnswer) -> bool:
        fits = answer.status_code == 200 and not values(answer.headers, b"content-encoding")
        if fits and ours.status != 200:
            log.info("a list of tasks is shown without ours: %s", ours.status)
        return bool(fits and ours.status == 200 and not self._is("markdown"))

    def _is(self, flag: str) -> bool:
        return self._query.get(flag, "").lower() == "true"

    def _most(self) -> int | None:
        limit = self._query.get("limit", "")
        return count(limit) if limit.isdecimal() else None

    async def _pass(self, answer: h11.Response, exchange: Exchange) -> None:
        await self._start(answer.status_code, to_client(answer.headers))
        await self._all(exchange.body())

    async def _start(self, status: int, headers: list[Header]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _all(self, body: AsyncIterator[bytes]) -> None:
        async with contextlib.aclosing(body) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                await self._piece(piece)
        await self._piece(b"", last=True)

    async def _piece(self, piece: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": not last})


def _changed(answer: h11.Response) -> list[Header]:
    return [header for header in to_client(answer.headers) if header[0] not in _NOT_SAID]


async def _whole(body: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in body])


async def _after(answering: "asyncio.Task[h11.Response]", exchange: Exchange) -> AsyncIterator[bytes]:
    """Upstream's lines, once it answers at all."""
    answer = await answering
    if answer.status_code != 200:
        raise UpstreamGone(f"a stream was refused late, with {answer.status_code}")
    async for piece in exchange.body():
        yield piece


async def _behind(first: "asyncio.Task[bytes]", body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield await first
    async for piece in body:
        yield piece
