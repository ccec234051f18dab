"""Many clients that are told what becomes of the objects of pools, as pages of Xen Orchestra are."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect

from xo_warmig.client import websocket_url

_MARK = re.compile(r"<\w+ \d+>")
_SIGN_IN, _ALL_OBJECTS = 1, 2
PATIENCE_SECONDS = 120.0


class Watcher:
    """One of them. It reads texts as they come, and into none of them: what JSON costs a client is not what is measured."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self._answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def read(self) -> None:
        """Until it is closed."""
        async for text in self._socket:
            assert isinstance(text, str)
            now = time.monotonic()
            if '"result"' in text[:100]:
                self._answered.set_result(len(text))
                continue
            for mark in _MARK.findall(text):
                if (awaited := self._awaited.pop(mark, None)) is not None:
                    awaited.set_result(now)

    def seen(self, mark: str) -> "asyncio.Future[float]":
        """When a notification first tells of an object with this text in it, ``<WORD NUMBER>``, in monotonic seconds."""
        self._awaited[mark] = asyncio.get_running_loop().create_future()
        return self._awaited[mark]

    async def sign_in(self, token: str) -> None:
        await self._ask(_SIGN_IN, "session.signIn", {"token": token})

    async def all_objects(self) -> int:
        """``xo.getAllObjects``; how many characters its answer has."""
        return await self._ask(_ALL_OBJECTS, "xo.getAllObjects", {})

    async def _ask(self, id: int, method: str, params: dict[str, str]) -> int:
        self._answered = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        return await asyncio.wait_for(self._answered, PATIENCE_SECONDS)


@asynccontextmanager
async def watchers(url: str, token: str, count: int) -> AsyncIterator[list[Watcher]]:
    """Signed in, each on a connection of its own."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            socket = await stack.enter_async_context(
                connect(websocket_url(url), max_size=None, compression=None, ping_timeout=None)
            )
            found.append(watcher := Watcher(socket))
            reading = asyncio.create_task(watcher.read())
            stack.push_async_callback(_ended, reading)
            await watcher.sign_in(token)
        yield found


async def _ended(reading: "asyncio.Task[None]") -> None:
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
