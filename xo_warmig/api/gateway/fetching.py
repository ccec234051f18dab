"""What the gateway itself asks of upstream: small answers, soon."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from xo_warmig.api.gateway.connections import Connections
from xo_warmig.api.gateway.headers import Header
from xo_warmig.api.gateway.upstream import UpstreamGone

MOST_SECONDS: Final = 30.0
MOST_BYTES: Final = 1024 * 1024


class Fetched(NamedTuple):
    """A whole answer; ``headers`` have names in lower case."""

    status: int
    headers: list[Header]
    body: bytes


async def fetched(connections: Connections, target: bytes, headers: Iterable[Header]) -> Fetched:
    """The answer to a GET.

    Raises:
        UpstreamGone: there is none, or it is late or large beyond what is asked for here.
    """
    try:
        async with asyncio.timeout(MOST_SECONDS):
            try:
                return await _fetched(connections, target, headers, fresh=False)
            except UpstreamGone:  # a kept connection was dead
                return await _fetched(connections, target, headers, fresh=True)
    except TimeoutError as error:
        raise UpstreamGone(f"no answer for {MOST_SECONDS:g} s") from error


async def _fetched(connections: Connections, target: bytes, headers: Iterable[Header], *, fresh: bool) -> Fetched:
    async with connections.exchange(fresh=fresh) as exchange:
        await exchange.ask(b"GET", target, [(b"host", connections.upstream.authority.encode()), *headers])
        await exchange.end()
        answer = await exchange.answer()
        body = bytearray()
        async for piece in exchange.body():
            body += piece
            if len(body) > MOST_BYTES:
                raise UpstreamGone(f"an answer of more than {MOST_BYTES} bytes")
        return Fetched(answer.status_code, list(answer.headers), bytes(body))
