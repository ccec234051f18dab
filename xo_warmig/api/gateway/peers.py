"""Who is at the other end of a connection, and whether it is a proxy that is trusted."""

from collections.abc import Iterable

from starlette.types import Scope

from xo_warmig.api.gateway.headers import Peer

_HTTP = {"ws": "http", "wss": "https"}


class Peers:
    """``trusted_proxies``: addresses whose ``X-Forwarded-*`` are believed."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = frozenset(trusted_proxies)

    def of(self, scope: Scope) -> Peer:
        """Of an ASGI connection, websockets too."""
        client = scope.get("client")
        address = str(client[0]) if client else "unix socket"
        scheme = str(scope["scheme"])
        return Peer(address, address in self._trusted, _HTTP.get(scheme, scheme))
