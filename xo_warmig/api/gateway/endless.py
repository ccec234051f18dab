"""Answers that have no end of their own: they end with the server, else it would wait for their clients and then cut them."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from xo_warmig.api.gateway.headers import Header, values
from xo_warmig.api.rest.streaming import Streams


def is_endless(headers: Iterable[Header]) -> bool:
    """Whether an answer with these is a stream of events."""
    return any(value.startswith(b"text/event-stream") for value in values(headers, b"content-type"))


async def until_closed(pieces: AsyncIterator[bytes], streams: Streams) -> AsyncIterator[bytes]:
    """``pieces`` as they come, until ``streams`` are closed."""
    closed = asyncio.create_task(streams.closed())
    try:
        while True:
            taking = asyncio.ensure_future(anext(pieces, None))
            try:
                await asyncio.wait((taking, closed), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not taking.done():
                    taking.cancel()
                    await asyncio.gather(taking, return_exceptions=True)
            if taking.cancelled() or (piece := taking.result()) is None:
                return
            yield piece
    finally:
        closed.cancel()
