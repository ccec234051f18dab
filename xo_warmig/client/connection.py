"""One connection: calls run side by side and answers are matched by id; notifications go to every iterator that is open."""

import asyncio
import itertools
import json
import weakref
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from xo_warmig.client.failures import CallFailed, ConnectionLost
from xo_warmig.client.notifications import Notification, Notifications, read_as

Kind = TypeVar("Kind")


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str
    data: Any = None


class _Message(msgspec.Struct, frozen=True):
    """An answer or a notification."""

    id: int | str | None = None
    method: str | None = None
    params: dict[str, Any] = {}
    result: Any = UNSET
    error: _Error | UnsetType | None = UNSET


class Client:
    """A connection that is signed in; made by ``connect``. ``user``: who is, as ``session.signIn`` gave it."""

    def __init__(self, websocket: ClientConnection, url: str) -> None:
        self.url = url
        self.user: dict[str, Any] = {}
        self._websocket = websocket
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[_Message]] = {}
        self._listeners: weakref.WeakSet[Notifications] = weakref.WeakSet()
        self._ended: ConnectionLost | None = None
        self._reader = asyncio.create_task(self._read(), name="client reader")

    async def call(self, method: str, /, **params: Any) -> Any:
        """Call a method and wait for its result, without a time limit: a migration is one call.

        Cancelling, as by ``asyncio.timeout``, stops the waiting only; the server goes on.

        Raises:
            CallFailed: the server answered with an error. ConnectionLost: it did not answer.
        """
        if self._ended is not None:
            raise self._ended
        number = next(self._ids)
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "jsonrpc": "2.0", "method": method, "params": params})
            message = await answer
        finally:
            self._pending.pop(number, None)
        if isinstance(error := message.error, _Error):
            raise CallFailed(method, error.code, error.message, error.data)
        return message.result

    async def call_as(self, kind: type[Kind], method: str, /, **params: Any) -> Kind:
        """``call`` with the result as a type, such as ``call_as(MigrationReport, "warmMigration.get", id=...)``.

        Raises:
            UnexpectedAnswer: it is none. Whatever ``call`` raises.
        """
        return read_as(kind, await self.call(method, **params), method)

    def notifications(self) -> Notifications:
        """An iterator over the notifications from now on. Each one that is open gets all of them."""
        listener = Notifications()
        self._listeners.add(listener)
        if self._ended is not None:
            listener.end(self._ended)
        return listener

    async def close(self) -> None:
        """Close the connection; open iterators end, awaited calls raise ConnectionLost."""
        await self._websocket.close()
        await self._reader

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._websocket.send(json.dumps(message, allow_nan=False, separators=(",", ":")))
        except ConnectionClosed as error:
            raise self._lost(error) from error

    async def _read(self) -> None:
        decoder = msgspec.json.Decoder(_Message)
        try:
            async for text in self._websocket:
                self._take(decoder.decode(text))
            self._finish(self._lost(None), None)
        except ConnectionClosed as error:
            lost = self._lost(error)
            self._finish(lost, lost)
        except Exception as error:
            # A server that sends what is no JSON-RPC: nothing later on this connection can be trusted.
            message = f"{self.url} sent something that is no JSON-RPC 2.0 message: {error}"
            broken = ConnectionLost(message, code="BAD_MESSAGE", evidence={"url": self.url}, remedy="Check the URL.")
            self._finish(broken, broken)
            await self._websocket.close()

    def _take(self, message: _Message) -> None:
        if message.method is not None:
            notification = Notification(message.method, message.params)
            for listener in list(self._listeners):
                listener.put(notification)
            return
        if message.result is UNSET and not isinstance(message.error, _Error):
            raise ValueError("neither a result nor an error")
        if not isinstance(message.id, int):
            raise ValueError("an answer to nothing that was asked")
        answer = self._pending.get(message.id)
        # The caller may have been cancelled meanwhile.
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _finish(self, for_calls: ConnectionLost, for_listeners: ConnectionLost | None) -> None:
        self._ended = for_calls
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(for_calls)
        for listener in list(self._listeners):
            listener.end(for_listeners)

    def _lost(self, error: ConnectionClosed | None) -> ConnectionLost:
        closed = error.rcvd if error is not None else None
        why = f" (code {closed.code}{': ' + closed.reason if closed.reason else ''})" if closed is not None else ""
        return ConnectionLost(
            f"the connection to {self.url} has ended{why}",
            evidence={"url": self.url},
            remedy="Connect again: what was started goes on in the server.",
        )
