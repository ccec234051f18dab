"""Who may open the websocket: an exact path, pages of the same origin, and not too many connections from one address."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from xo_warmig.api.settings import ApiSettings

PATH: Final = b"/api/"
_REFUSAL_SECONDS: Final = 5.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Refusal(NamedTuple):
    """An HTTP answer in place of the upgrade."""

    status: HTTPStatus
    reason: str


class Admission:
    """Decides on upgrades and counts the connections that stand. ``paths``: where the websocket is."""

    def __init__(self, settings: ApiSettings, paths: frozenset[bytes] = frozenset({PATH})) -> None:
        self._paths = paths
        self._proxies = frozenset(settings.trusted_proxies)
        self._allowed = {_origin(origin) for origin in settings.allowed_origins}
        self._most = settings.most_connections_per_address
        self._open: Counter[str] = Counter()

    def address(self, scope: Scope) -> str:
        """The client's address: what a trusted proxy says, else the peer's own."""
        client = scope.get("client")
        peer = str(client[0]) if client else "unix socket"
        forwarded = Headers(scope=scope).get("x-forwarded-for", "") if peer in self._proxies else ""
        return forwarded.rsplit(",", 1)[-1].strip() or peer

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this upgrade is refused, if it is."""
        if scope.get("raw_path", PATH) not in self._paths or scope.get("query_string"):
            return Refusal(HTTPStatus.NOT_FOUND, "the websocket is at /api/ exactly")
        if not self.is_same_origin(scope):
            return Refusal(HTTPStatus.FORBIDDEN, "a page of another origin may not open this socket")
        return self.full(self.address(scope))

    def full(self, address: str) -> Refusal | None:
        """Why no more connections that last are taken from there, if none are."""
        if self._open[address] >= self._most:
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"more than {self._most} connections from one address")
        return None

    @contextmanager
    def counted(self, address: str) -> Iterator[None]:
        self._open[address] += 1
        try:
            yield
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def is_same_origin(self, scope: Scope) -> bool:
        """Programs send no Origin. A browser's must be where it thinks that it talks to, or be listed."""
        headers = Headers(scope=scope)
        given = headers.getlist("origin")
        if not given:
            return True
        origin = _origin(given[0])
        if origin is None or len(given) > 1:
            return False
        hosts = headers.getlist("host")
        client = scope.get("client")
        if client and client[0] in self._proxies:
            hosts += headers.getlist("x-forwarded-host")
        scheme = origin[0]
        return origin in self._allowed or any(_origin(f"{scheme}://{host}") == origin for host in hosts)


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin of a page ("null" among them)."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


async def refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    """An HTTP answer in place of an upgrade."""
    await receive()  # websocket.connect
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": refusal.reason.encode() + b"\n"})
    # uvicorn logs an error when this returns before the connection is gone, which is the second disconnect that it tells.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REFUSAL_SECONDS):
            await receive()
            await receive()
