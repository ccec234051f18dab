"""Headers on their way through the gateway: all as they are, but those that speak of one connection only (RFC 9110, 7.6.1). Pure."""

from collections.abc import Iterable
from typing import Final, NamedTuple

Header = tuple[bytes, bytes]

_OF_A_CONNECTION: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_FORWARDED: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
# The websocket client library writes these itself.
_OF_AN_UPGRADE: Final = frozenset(
    (
        b"host",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
    )
)


class Peer(NamedTuple):
    """Who connected: its ``address``, whether its ``X-Forwarded-*`` are believed, and the ``scheme`` (http or https) that it spoke."""

    address: str
    is_trusted: bool
    scheme: str


def values(headers: Iterable[Header], name: bytes) -> list[bytes]:
    """Of all headers of that name, which is in lower case."""
    return [value for key, value in headers if key.lower() == name]


def has_body(headers: Iterable[Header]) -> bool:
    """Whether a request with these has a body."""
    headers = list(headers)
    return bool(values(headers, b"transfer-encoding")) or any(
        value.strip() != b"0" for value in values(headers, b"content-length")
    )


def to_upstream(headers: Iterable[Header], peer: Peer) -> list[Header]:
    """Of a request. Host is kept, since links that lead back are made of it; a chunked body stays chunked.

    Expect is left out: the gateway answers it, and has the body sent at once.
    """
    headers = list(headers)
    chunked = bool(values(headers, b"transfer-encoding"))
    dropped = {b"expect", *_FORWARDED} | ({b"content-length"} if chunked else set())
    passed = [header for header in end_to_end(headers) if header[0].lower() not in dropped]
    return passed + ([(b"transfer-encoding", b"chunked")] if chunked else []) + forwarded(headers, peer)


def with_host(headers: list[Header], authority: str) -> list[Header]:
    """Of a request to upstream: HTTP/1.0 needs no Host, what is spoken there does."""
    return headers if values(headers, b"host") else [*headers, (b"host", authority.encode())]


def to_upgrade(headers: Iterable[Header], peer: Peer) -> list[Header]:
    """Of a websocket's upgrade, beside those of the websocket itself and Host."""
    headers = list(headers)
    dropped = _OF_AN_UPGRADE.union(_FORWARDED)
    return [header for header in end_to_end(headers) if header[0].lower() not in dropped] + forwarded(headers, peer)


def to_client(headers: Iterable[Header]) -> list[Header]:
    """Of an answer. Without a length it is chunked on the next connection, which the server there sees to."""
    headers = list(headers)
    chunked = bool(values(headers, b"transfer-encoding"))
    return [header for header in end_to_end(headers) if not (chunked and header[0].lower() == b"content-length")]


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """Without those of the connection, and those that it names as such."""
    headers = list(headers)
    named = {name.strip().lower() for value in values(headers, b"connection") for name in value.split(b",")}
    dropped = _OF_A_CONNECTION | named
    return [header for header in headers if header[0].lower() not in dropped]


def forwarded(headers: Iterable[Header], peer: Peer) -> list[Header]:
    """``X-Forwarded-*``: what a trusted proxy said goes on, and the peer is added; anybody else could have written anything."""
    headers = list(headers)
    given = headers if peer.is_trusted else []
    addresses = [*values(given, b"x-forwarded-for"), peer.address.encode("latin-1", "replace")]
    scheme = values(given, b"x-forwarded-proto") or [peer.scheme.encode()]
    host = values(given, b"x-forwarded-host") or values(headers, b"host")
    return [
        (b"x-forwarded-for", b", ".join(addresses)),
        (b"x-forwarded-proto", scheme[0]),
        *((b"x-forwarded-host", each) for each in host[:1]),
    ]
