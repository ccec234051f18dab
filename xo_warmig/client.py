"""A small client of the API: JSON-RPC 2.0 over one websocket, as Xen Orchestra's own clients speak it.

Calls run side by side and answers are matched by id; notifications go to every iterator that is open. What the calls mean is not
known here: see the schemas.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import json
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from xo_warmig.errors import WarmigError
from xo_warmig.model.units import MIB

MAX_MESSAGE_BYTES = 100 * MIB
MAX_PENDING_NOTIFICATIONS = 100_000
PING_TIMEOUT_SECONDS = 300.0

USER_AGENT: Final = "xo_warmig/client"  # by which the server knows that pools' objects are not to be followed for it

PATIENCE_SECONDS: Final = 600.0  # a host that restarts, with its toolstack, is back by then
_FIRST_PAUSE_SECONDS: Final = 0.2
_MOST_PAUSE_SECONDS: Final = 5.0
_LASTING_SECONDS: Final = 10.0  # a connection that held for this long was a real one
_PASSING = ("CONNECTION_LOST", "SERVER_UNREACHABLE")  # of ConnectionLost, what may be over when it is tried again

Result = TypeVar("Result")


class CallFailed(WarmigError):
    """The server answered a call with an error.

    ``rpc_code`` and ``rpc_message`` are JSON-RPC's (Xen Orchestra's table), ``data`` what came with them. ``code``, ``message``,
    ``evidence`` and ``remedy`` are the server's own where it gave them; without them ``code`` is ``XO_<number>``.
    """

    def __init__(self, method: str, rpc_code: int, message: str, data: Any = None) -> None:
        own = data if isinstance(data, dict) else {}
        code, evidence, remedy = own.get("code"), own.get("evidence"), own.get("remedy")
        super().__init__(
            _said(message, own),
            code=code if isinstance(code, str) else f"XO_{rpc_code}".replace("-", "MINUS_"),
            evidence=evidence if isinstance(evidence, dict) else {},
            remedy=remedy if isinstance(remedy, str) else "",
        )
        self.method = method
        self.rpc_code = rpc_code
        self.rpc_message = message
        self.data = data


def _said(message: str, own: dict[str, Any]) -> str:
    """The server's own sentence; else XO's, with what is wrong with which parameter."""
    if isinstance(own.get("message"), str):
        return str(own["message"])
    wrong = [one for one in own.get("errors") or [] if isinstance(one, dict)]
    details = [f"{one.get('instancePath') or '/'} {one.get('message')}" for one in wrong]
    return f"{message}: {'; '.join(details)}" if details else message


class ConnectionLost(WarmigError):
    """The server cannot be reached, or the connection ended while something was awaited. ``evidence``: ``url``."""

    default_code = "CONNECTION_LOST"
    retryable = True


class Notification(msgspec.Struct, frozen=True):
    """Something that the server tells unasked, such as ``all`` or ``warmMigration``."""

    method: str
    params: dict[str, Any]


class Notifications:
    """The notifications from its creation on. It ends when the client is closed, and raises ConnectionLost when the server goes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Notification | ConnectionLost | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        match item := await self._queue.get():
            case None:
                self._queue.put_nowait(None)
                raise StopAsyncIteration
            case ConnectionLost():
                self._queue.put_nowait(item)
                raise item
            case _:
                return item

    def _put(self, item: Notification) -> None:
        if self._queue.qsize() < MAX_PENDING_NOTIFICATIONS:
            self._queue.put_nowait(item)
        elif self._queue.qsize() == MAX_PENDING_NOTIFICATIONS:
            message = f"more than {MAX_PENDING_NOTIFICATIONS} notifications were not read"
            self._queue.put_nowait(ConnectionLost(message, code="TOO_SLOW", remedy="Read them as they come."))

    def _end(self, error: ConnectionLost | None) -> None:
        self._queue.put_nowait(error)


class Client:
    """A signed-in connection; made by ``connect``."""

    def __init__(self, websocket: ClientConnection, url: str) -> None:
        self.url = url
        self.user: dict[str, Any] = {}
        self._websocket = websocket
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listeners: weakref.WeakSet[Notifications] = weakref.WeakSet()
        self._ended: ConnectionLost | None = None
        self._reader = asyncio.create_task(self._read(), name="client reader")

    async def call(self, method: str, /, **params: Any) -> Any:
        """Call a method and wait for its result, without a time limit: a migration is one call.

        Cancelling stops the waiting only; the server goes on.

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
        if (error := message.get("error")) is not None:
            raise CallFailed(method, error["code"], error["message"], error.get("data"))
        return message["result"]

    def notifications(self) -> Notifications:
        """An iterator over the notifications from now on. Each one that is open gets all of them."""
        listener = Notifications()
        self._listeners.add(listener)
        if self._ended is not None:
            listener._end(self._ended)
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
        try:
            async for text in self._websocket:
                self._take(json.loads(text))
            self._finish(self._lost(None), None)
        except ConnectionClosed as error:
            lost = self._lost(error)
            self._finish(lost, lost)
        except Exception as error:
            # A server that sends what is no JSON-RPC: nothing later on this connection can be trusted.
            message = f"{self.url} sent something that is no JSON-RPC 2.0 message: {type(error).__name__}"
            broken = ConnectionLost(message, code="BAD_MESSAGE", evidence={"url": self.url}, remedy="Check the URL.")
            self._finish(broken, broken)
            await self._websocket.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            notification = Notification(message["method"], message.get("params", {}))
            for listener in list(self._listeners):
                listener._put(notification)
            return
        if "result" not in message and "error" not in message:
            raise ValueError("neither a result nor an error")
        answer = self._pending.get(message["id"])
        # The caller may have been cancelled meanwhile.
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _finish(self, for_calls: ConnectionLost, for_listeners: ConnectionLost | None) -> None:
        self._ended = for_calls
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(for_calls)
        for listener in list(self._listeners):
            listener._end(for_listeners)

    def _lost(self, error: ConnectionClosed | None) -> ConnectionLost:
        closed = error.rcvd if error is not None else None
        why = f" (code {closed.code}{': ' + closed.reason if closed.reason else ''})" if closed is not None else ""
        return ConnectionLost(
            f"the connection to {self.url} has ended{why}",
            evidence={"url": self.url},
            remedy="Connect again: what was started goes on in the server.",
        )


def websocket_url(url: str) -> str:
    """Where the API is: ``http`` and ``ws`` give ``ws``, ``https``, ``wss`` and no scheme give ``wss``; the path is ``/api/``."""
    scheme, rest = url.split("://", 1) if "://" in url else ("https", url)
    plain = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    if scheme not in plain or not rest.strip("/"):
        raise ConnectionLost(
            f"{url!r} is no URL of a server", code="BAD_URL", evidence={"url": url}, remedy="Use http://HOST:PORT."
        )
    base = rest.rstrip("/")
    return f"{plain[scheme]}://{base}/" if base.endswith("/api") else f"{plain[scheme]}://{base}/api/"


@contextlib.asynccontextmanager
async def connect(
    url: str,
    *,
    token: str | None = None,
    email: str | None = None,
    password: str | None = None,
    ca_file: str | None = None,
) -> AsyncIterator[Client]:
    """A client of the server at ``url`` (as ``http://127.0.0.1:8480``), signed in by token or by email and password.

    ``ca_file`` is a PEM file to trust instead of the system's authorities.

    Raises:
        ConnectionLost: it cannot be reached. CallFailed: the credentials are refused (rpc_code 3).
    """
    if (token is None) == (email is None or password is None):
        raise TypeError("sign in with a token, or with an email and a password")
    credentials = {"token": token} if token is not None else {"email": email, "password": password}
    async with Client(await _open(url, ca_file), url) as client:
        client.user = await client.call("session.signIn", **credentials)
        yield client


async def persistently(
    use: Callable[[Client], Awaitable[Result]],
    url: str,
    *,
    token: str,
    ca_file: str | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    lost: Callable[[ConnectionLost], None] = lambda error: None,
) -> Result:
    """What ``use`` returns; it is called again with a new connection each time one is lost, as by the server's restart.

    For what may be asked twice. ``vm.warmMigration`` may: the second call joins the migration that the first one started, and once it
    has succeeded gives the same answer::

        target = await persistently(lambda client: client.call("vm.warmMigration", **parameters), url, token=token)

    One that failed in between is tried again by it; to learn of the first one's end instead, remember the id that
    ``warmMigration.start`` gave. ``lost`` is told of every loss, not of every attempt; patience is counted from the loss. A server that
    does not answer the first time is not waited for.

    Raises:
        ConnectionLost: it was away for longer than ``patience_seconds``. Whatever ``use`` raises.
    """
    now = asyncio.get_running_loop().time
    lost_at = signed_in_at = None
    pause_seconds = _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with connect(url, token=token, ca_file=ca_file) as client:
                signed_in_at = now()
                return await use(client)
        except ConnectionLost as error:
            if signed_in_at is None or error.code not in _PASSING:
                raise
            # A server that takes every connection and drops it at once must not be asked for ever.
            if lost_at is None or (signed_in_at > lost_at and now() - signed_in_at >= _LASTING_SECONDS):
                lost_at, pause_seconds = now(), _FIRST_PAUSE_SECONDS
                lost(error)
            if now() + pause_seconds - lost_at > patience_seconds:
                raise
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, _MOST_PAUSE_SECONDS)


async def _open(url: str, ca_file: str | None) -> ClientConnection:
    address = websocket_url(url)
    context = ssl.create_default_context(cafile=ca_file) if address.startswith("wss:") else None
    try:
        loopback = _is_loopback(urlsplit(address).hostname or "")
        return await open_websocket(
            address,
            ssl=context,
            max_size=MAX_MESSAGE_BYTES,
            ping_timeout=PING_TIMEOUT_SECONDS,
            user_agent_header=USER_AGENT,
            proxy=None if loopback else True,
        )
    except (OSError, InvalidURI, InvalidHandshake, ValueError) as error:
        raise ConnectionLost(
            f"no server answers at {url}: {error}",
            code="SERVER_UNREACHABLE",
            evidence={"url": url},
            remedy="Start it with `xo-warmig serve`, or give its URL with --url.",
        ) from error


def _is_loopback(host: str) -> bool:
    """No proxy is asked for this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
