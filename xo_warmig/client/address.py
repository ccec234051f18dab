"""Where a server's API is, from what people write."""

import ipaddress

from xo_warmig.client.failures import ConnectionLost

_WEBSOCKET = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}


def websocket_url(url: str) -> str:
    """Where the API is: ``http`` and ``ws`` give ``ws``, ``https``, ``wss`` and no scheme give ``wss``; the path is ``/api/``.

    As Xen Orchestra's clients have it (packages/xo-lib/src/index.js).

    Raises:
        ConnectionLost: code BAD_URL.
    """
    scheme, rest = url.split("://", 1) if "://" in url else ("https", url)
    if scheme not in _WEBSOCKET or not rest.strip("/"):
        raise ConnectionLost(
            f"{url!r} is no URL of a server", code="BAD_URL", evidence={"url": url}, remedy="Use http://HOST:PORT."
        )
    base = rest.rstrip("/").removesuffix("/api")
    return f"{_WEBSOCKET[scheme]}://{base}/api/"


def is_loopback(host: str) -> bool:
    """Whether it is this machine, for which no proxy is asked."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
