"""Calls of our own on a connection to upstream, among those of the client who uses it.

Their ids begin with a random text that no client learns, so none can answer in upstream's place, and their answers go no further.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.state_file import to_json

Answer = asyncio.Future[Frame]


class LegGone(Exception):
    """Upstream's side of a connection has ended, so there will be no answer."""


class Questions:
    """``send`` sends a text to upstream; what it raises is the asker's."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._prefix = f"xo_warmig:{secrets.token_urlsafe(16)}:"
        self._count = itertools.count(1)
        self._open: dict[str, Answer] = {}
        self._closed = False

    async def ask(self, method: str, **params: Any) -> Answer:
        """Returns when the question is on its way, behind everything that was sent before it. The answer may raise LegGone."""
        if self._closed:
            raise LegGone
        id = f"{self._prefix}{next(self._count)}"
        answer = self._open[id] = asyncio.get_running_loop().create_future()
        call = {"id": id, "jsonrpc": "2.0", "method": method}
        await self._send(to_json(call | ({"params": params} if params else {})))
        return answer

    @property
    def waiting(self) -> bool:
        """Whether frames from upstream have to be looked at."""
        return bool(self._open)

    def take(self, frame: Frame) -> bool:
        """Whether it was an answer to one of ours. It is not for the client then."""
        if not isinstance(frame.key, str) or not frame.key.startswith(self._prefix):
            return False
        answer = self._open.pop(frame.key, None)
        if answer is not None and not answer.done():
            answer.set_result(frame)
        return True

    async def settled(self, most_seconds: float) -> None:
        """Wait until all that was asked so far is answered, but no longer."""
        if self._open:
            await asyncio.wait(list(self._open.values()), timeout=most_seconds)

    def close(self) -> None:
        """There will be no answers any more."""
        self._closed = True
        for answer in list(self._open.values()):
            if not answer.done():
                answer.set_exception(LegGone())
                answer.exception()  # nobody has to ask
