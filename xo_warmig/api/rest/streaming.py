"""Answers without an end: they stop when the client goes, or takes nothing for too long."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from xo_warmig.api.rest.requests import disconnected


class Streams:
    """All that a server has; ``close`` them when it ends, or it waits for their clients."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()

    def close(self) -> None:
        self._closing.set()

    async def closed(self) -> None:
        """Returns when that is so."""
        await self._closing.wait()


class Stream(Response):
    """``pieces`` are sent as they come, and closed in the end. ``patience_seconds``: how long the client may take nothing."""

    def __init__(
        self, streams: Streams, pieces: AsyncGenerator[str, None], *, media_type: str, patience_seconds: float
    ) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-cache, no-transform"})
        del self.headers["content-length"]
        self._streams = streams
        self._pieces = pieces
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_all(receive, send))
        ends = (sending, asyncio.create_task(disconnected(receive)), asyncio.create_task(self._streams.closed()))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            await self._pieces.aclose()
        if not sending.cancelled():
            sending.result()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, receive: Receive, send: Send) -> None:
        try:
            async for piece in self._pieces:
                async with asyncio.timeout(self._patience_seconds):
                    await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        except TimeoutError:
            _abort(receive)


def _abort(receive: Receive) -> None:
    """Under uvicorn ``receive`` is a method of what owns the connection; closing it politely would wait for the client to read."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
