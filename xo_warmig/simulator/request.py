"""One HTTP request as it came in, and the reading of its head. What is answered is elsewhere."""

import base64
import binascii
import socket
import ssl
import time
import urllib.parse
from dataclasses import dataclass
from io import BufferedReader
from typing import TypeAlias

from xo_warmig.simulator.pool import SimPool

MAX_HEAD_BYTES = 1024
"""Request line and headers together (ocaml/xapi/xapi_globs.ml, since 22.30)."""
MAX_OLDER_HEAD_BYTES = 1 << 20
"""Of hosts before that, which set no limit."""
HEAD_READ_SECONDS = 10.0
HEAD_TOTAL_SECONDS = 60.0
OTHER_CONFIG = "x-http-other-config-"
"""The beginning of such a header (ocaml/xapi/context.ml)."""
IDLE_SECONDS = 300.0
"""How long a connection may be silent between requests."""

Connection: TypeAlias = socket.socket | ssl.SSLSocket


@dataclass(frozen=True, kw_only=True)
class Head:
    """A request line, its query and headers (names lower-case)."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    keep_alive: bool

    @property
    def args(self) -> dict[str, str]:
        """The query, overridden by cookies."""
        pairs = self.headers.get("cookie", "").replace("&", ";").split(";")
        cookies = dict(pair.strip().split("=", 1) for pair in pairs if "=" in pair)
        return self.query | {name: urllib.parse.unquote(value) for name, value in cookies.items()}

    @property
    def other_config(self) -> dict[str, str]:
        """Keys and texts that headers give to ``other_config`` of a call's task, as xapi names them there (ocaml/xapi/taskHelper.ml)."""
        given = [(name, text) for name, text in self.headers.items() if name.startswith(OTHER_CONFIG)]
        return {f"http:{name.removeprefix(OTHER_CONFIG)}": text for name, text in given}

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of HTTP's Basic scheme."""
        scheme, _, encoded = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (user, password) if colon else None


@dataclass(kw_only=True)
class HttpRequest:
    """What a disk handler gets: the head, where the request landed, the session if it is valid, and the connection to write to.

    ``host`` is the reference of the host whose address was asked. A handler writes the whole response; the server closes after it.
    """

    pool: SimPool
    host: str
    method: str
    path: str
    args: dict[str, str]
    headers: dict[str, str]
    rfile: BufferedReader
    connection: Connection
    session: str | None


class HeadTooLarge(Exception):
    """More than a request line and headers may have."""


class HeadTooSlow(Exception):
    """A head that began and did not end in time."""


class BadHead(Exception):
    """Bytes that are no HTTP request."""


def read_head(connection: Connection, rfile: BufferedReader, most_bytes: int = MAX_HEAD_BYTES) -> Head | None:
    """The next request's head; None when the peer has gone or stays silent."""
    connection.settimeout(IDLE_SECONDS)
    try:
        first = rfile.readline(MAX_HEAD_BYTES + 1)
    except (OSError, ValueError):
        return None
    if not first:
        return None
    connection.settimeout(HEAD_READ_SECONDS)
    try:
        lines = _rest(first, rfile, most_bytes)
    finally:
        connection.settimeout(None)
    return parse_head(lines)


def _rest(first: bytes, rfile: BufferedReader, most_bytes: int) -> list[bytes]:
    """All lines of a head whose first one is there."""
    lines, size, deadline = [first], len(first), time.monotonic() + HEAD_TOTAL_SECONDS
    while lines[-1] not in (b"\r\n", b"\n"):
        if size > most_bytes:
            raise HeadTooLarge
        try:
            line = rfile.readline(most_bytes + 1 - size)
        except TimeoutError as error:
            raise HeadTooSlow from error
        if not line:
            raise BadHead("the connection ended inside a head")
        if time.monotonic() > deadline:
            raise HeadTooSlow
        # A line cut by the limit has no end; reading on would take its rest for another line.
        lines.append(line)
        size += len(line)
    return lines[:-1]


def parse_head(lines: list[bytes]) -> Head:
    """A head from its lines, the empty one left out. BadHead when it is none."""
    words = lines[0].decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadHead("no request line")
    method, target, version = words
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadHead("a header without a colon")
        headers[name.strip().lower()] = value.strip()
    path, _, query = target.partition("?")
    wish = headers.get("connection", "").lower()
    keep_alive = "keep-alive" in wish if version == "HTTP/1.0" else "close" not in wish
    args = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return Head(method=method, path=urllib.parse.unquote(path), query=args, headers=headers, keep_alive=keep_alive)
