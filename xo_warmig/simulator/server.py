"""The HTTP server of a pool: a listener for each host's address, a thread for each connection, and which path goes where.

Every POST that nothing more specific takes is XML-RPC, as with xapi's own routing by longest prefix.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from socketserver import BaseRequestHandler
from typing import cast

from xo_warmig.simulator import control, pages, tls, transfer
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.dispatcher import TaskFields
from xo_warmig.simulator.listener import Listener
from xo_warmig.simulator.metrics.serving import serve_updates
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.release import at_least
from xo_warmig.simulator.request import (
    MAX_HEAD_BYTES,
    MAX_OLDER_HEAD_BYTES,
    BadHead,
    Connection,
    Head,
    HeadTooLarge,
    HeadTooSlow,
    HttpRequest,
    read_head,
)
from xo_warmig.simulator.rpc import answer_json, answer_old_json, answer_xml

__all__ = ["HttpRequest", "PoolServer"]

METHODS = frozenset({"GET", "POST", "PUT", "CONNECT", "OPTIONS"})
MAX_BODY_BYTES = 300 << 10
"""Of a call (ocaml/xapi-consts/constants.ml)."""

_STREAMS = {
    ("GET", "/export_raw_vdi"): transfer.serve_export,
    ("PUT", "/import_raw_vdi"): transfer.serve_import,
    ("GET", "/rrd_updates"): serve_updates,
    ("GET", "/_sim"): control.serve,
    ("POST", "/_sim"): control.serve,
}
"""Handlers that write to the connection themselves, after which it is closed."""

_CALLS = {
    "/jsonrpc": (answer_json, "application/json"),
    "/json": (answer_old_json, "application/json"),
    "": (answer_xml, "text/xml"),
}
"""Handlers of calls by the beginning of their path, the longest first."""


class PoolServer:
    """All listeners of one pool. ``start`` returns when every one of them accepts."""

    def __init__(self, pool: SimPool) -> None:
        self._listeners = [_Listener(pool, ref) for ref in pool.db.refs("host")]

    def start(self) -> None:
        for listener in self._listeners:
            listener.start("listener")

    def stop(self) -> None:
        """Stops accepting and breaks the connections that are open."""
        for listener in self._listeners:
            listener.stop()


class _Listener(Listener):
    """The server of one host's address."""

    def __init__(self, pool: SimPool, host: str) -> None:
        self.context: ssl.SSLContext | None = None
        self.most_head_bytes = MAX_HEAD_BYTES if at_least(pool.release, "8.3") else MAX_OLDER_HEAD_BYTES
        if pool.config.https:
            address = pool.db.row("host", host)["address"]
            self.context = tls.server_context(tls.certificate_file(pool.directory, address, pool.release), pool.release)
        super().__init__(pool, host, pool.config.port, _Exchange)


class _Exchange(BaseRequestHandler):
    """The requests of one connection."""

    server: _Listener

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with (
            suppress(ConnectionError, TimeoutError, ssl.SSLError),
            self._encrypted() as connection,
            cast(BufferedReader, connection.makefile("rb", buffering=1 << 16)) as rfile,
        ):
            while self._one(connection, rfile):
                pass
            _finish(connection)

    @contextmanager
    def _encrypted(self) -> Iterator[Connection]:
        """The connection, in TLS where the pool has it."""
        if self.server.context is None:
            yield self.request
            return
        self.request.settimeout(10)
        with self.server.context.wrap_socket(self.request, server_side=True) as connection:
            connection.settimeout(None)
            self.server.connections.add(connection)
            try:
                yield connection
            finally:
                self.server.connections.discard(connection)

    def _one(self, connection: Connection, rfile: BufferedReader) -> bool:
        """Answers one request. Gives whether another may follow."""
        try:
            head = read_head(connection, rfile, self.server.most_head_bytes)
        except HeadTooLarge:
            connection.sendall(pages.page(431))
            return False
        except HeadTooSlow:
            connection.sendall(pages.page(408))
            return False
        except BadHead as error:
            connection.sendall(pages.page(500, str(error)))
            return False
        return head is not None and self._route(head, connection, rfile)

    def _route(self, head: Head, connection: Connection, rfile: BufferedReader) -> bool:
        if head.method not in METHODS:
            connection.sendall(pages.page(501))
            return False
        for (method, prefix), stream in _STREAMS.items():
            if head.method == method and head.path.startswith(prefix):
                with self._session(head) as session:
                    stream(self._request(head, connection, rfile, session))
                return False
        match head.method, head.path:
            case "POST", _:
                return self._call(head, connection, rfile)
            case "OPTIONS", "/jsonrpc":
                connection.sendall(pages.reply(b"", "text/plain", keep_alive=head.keep_alive))
                return head.keep_alive
            case "GET", "/":
                connection.sendall(pages.welcome(self.server.pool.config.name, keep_alive=head.keep_alive))
                return head.keep_alive
        connection.sendall(pages.page(403))
        return False

    def _call(self, head: Head, connection: Connection, rfile: BufferedReader) -> bool:
        """Answers a call by the protocol that its path stands for."""
        length = head.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            text = "content-length is too large" if length.isdecimal() else "content-length is missing"
            connection.sendall(pages.page(500, text))
            return False
        body = rfile.read(int(length))
        if len(body) < int(length):
            return False
        handler, content_type = next(call for prefix, call in _CALLS.items() if head.path.startswith(prefix))
        subtask_of = head.headers.get("subtask-of") or head.args.get("subtask_of") or NULL
        try:
            answer = handler(self.server.pool, self.server.host, body, TaskFields(subtask_of, head.other_config))
        except ValueError as error:
            connection.sendall(pages.page(500, str(error)))
            return False
        self.server.pool.round_trip()
        connection.sendall(pages.reply(answer, content_type, keep_alive=head.keep_alive))
        return head.keep_alive

    @contextmanager
    def _session(self, head: Head) -> Iterator[str | None]:
        """The request's session: the one it names, or one of its own for the time of the request if it has credentials."""
        sessions = self.server.pool.sessions
        named = head.args.get("session_id")
        if named is not None:
            yield named if sessions.valid(named) else None
            return
        credentials = head.credentials
        if credentials is None or not sessions.authenticates(*credentials):
            yield None
            return
        own = sessions.login(credentials[0], "http", self.server.host)
        try:
            yield own
        finally:
            sessions.logout(own)

    def _request(self, head: Head, connection: Connection, rfile: BufferedReader, session: str | None) -> HttpRequest:
        return HttpRequest(
            pool=self.server.pool,
            host=self.server.host,
            method=head.method,
            path=head.path,
            args=head.args,
            headers=head.headers,
            rfile=rfile,
            connection=connection,
            session=session,
        )


def _finish(connection: Connection, seconds: float = 1.0) -> None:
    """Ends the sending side and lets the peer's last bytes come in, so that a reset does not overtake the answer."""
    connection.settimeout(seconds)
    deadline = time.monotonic() + seconds
    with suppress(OSError, ValueError):
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap()
            return
        connection.shutdown(socket.SHUT_WR)
        while time.monotonic() < deadline and connection.recv(1 << 16):
            pass
