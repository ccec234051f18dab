"""Answers without an end: they stop when the client goes, or takes nothing for too long."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from xo_warmig.api.rest.requests import disconnected


class Stream(Response):
    """``pieces`` are sent as they come, and closed in the end. ``patience_seconds``: how long the client may take nothing."""

    def __init__(self, pieces: AsyncGenerator[str, None], *, media_type: str, patience_seconds: float) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-cache, no-transform"})
        del self.headers["content-length"]
        self._pieces = pieces
        self._patience_seconds = patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(receive, send))
        leaving = asyncio.create_task(disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (sending, leaving):
                each.cancel()
            ends = await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._pieces.aclose()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _send_all(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for piece in self._pieces:
                async with asyncio.timeout(self._patience_seconds):
                    await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        except TimeoutError:
            _abort(receive)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _abort(receive: Receive) -> None:
    """Under uvicorn ``receive`` is a method of what owns the connection; closing it politely would wait for the client to read."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
