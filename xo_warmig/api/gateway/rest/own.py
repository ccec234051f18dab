"""Our own answer to a request that upstream answers too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import ASGIApp, Message, Scope

from xo_warmig.api.gateway.headers import Header

_MOST_WAITING: Final = 16  # pieces that nobody took yet


class OwnAnswer:
    """``headers`` have names in lower case. ``body`` is to be read once."""

    def __init__(self, status: int, headers: list[Header], messages: "asyncio.Queue[Message | None]") -> None:
        self.status = status
        self.headers = headers
        self._messages = messages

    async def body(self) -> AsyncIterator[bytes]:
        """In pieces as they come; it may never end."""
        while (message := await self._messages.get()) is not None:
            if piece := message.get("body", b""):
                yield piece
            if not message.get("more_body", False):
                return


@contextlib.asynccontextmanager
async def answered(app: ASGIApp, scope: Scope, body: bytes = b"") -> AsyncIterator[OwnAnswer]:
    """What ``app`` answers to a request with this body; it is told that the client has gone when the context is left.

    Raises what the application raises before its answer.
    """
    messages: asyncio.Queue[Message | None] = asyncio.Queue(_MOST_WAITING)
    gone = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def run() -> None:
        try:
            await app(scope, receive, messages.put)
        finally:
            with contextlib.suppress(asyncio.QueueFull):
                messages.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        first = await messages.get()
        if first is None:
            await task
            raise RuntimeError("no answer")
        yield OwnAnswer(first["status"], [(name.lower(), value) for name, value in first["headers"]], messages)
    finally:
        gone.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
