"""One XML-RPC connection to a pool's master: PyPI's XenAPI over a transport of ours. One thread at a time may use it."""

import errno
import http.client
import select
import socket
import xmlrpc.client
from typing import Any

import XenAPI

from xo_warmig.xapi.address import Address
from xo_warmig.xapi.dial import dial
from xo_warmig.xapi.trust import Trust

ANSWER_SECONDS = 90.0
_PIECE_BYTES = 256 * 1024
_NO_SESSION = ("SESSION_INVALID", "HANDLE_INVALID")
ORIGIN_KEY = "http:xo_warmig"
"""Where XAPI puts the origin in ``task.other_config``: "http:" and the end of the header's name (ocaml/xapi/taskHelper.ml)."""
_ORIGIN_HEADER = "x-http-other-config-xo_warmig"


class RpcSession:
    """A connection, with the session reference that it shall use. Log-ins are the caller's: it never logs in again by itself."""

    def __init__(self, address: Address, trust: Trust, *, origin: str = "") -> None:
        """``origin`` is written on the tasks of its asynchronous calls, see ``_ORIGIN_HEADER``."""
        self._transport = _Transport(address, trust, origin)
        self._session = XenAPI.Session(address.url, transport=self._transport)

    def log_in(self, username: str, password: str, originator: str) -> str:
        """The reference of a new session. Raises XenAPI.Failure, or what the network raises."""
        answer = self._session.session.login_with_password(username, password, "2.0", originator)
        if answer.get("Status") != "Success":
            raise XenAPI.Failure(answer.get("ErrorDescription", ["INTERNAL_ERROR"]))
        return str(answer["Value"])

    def call(self, session: str, method: str, arguments: tuple[Any, ...]) -> Any:
        """One call with the session put first. Raises XenAPI.Failure, xmlrpc.client.Fault 401 for a lost session, or OSError."""
        self._session._session = session
        return self._session.xenapi_request(method, arguments)

    def log_out(self, session: str) -> None:
        """End a session; one that is gone already is success. Raises XenAPI.Failure, or what the network raises."""
        answer = self._session.session.logout(session)
        if answer.get("Status") != "Success":
            details = answer.get("ErrorDescription") or ["INTERNAL_ERROR"]
            if details[0] not in _NO_SESSION:
                raise XenAPI.Failure(details)

    @property
    def interrupted(self) -> bool:
        return self._transport.interrupted

    def interrupt(self) -> None:
        """From another thread: a call that waits fails, and so does every later one."""
        self._transport.interrupt()

    def close(self) -> None:
        self._transport.close()


class _HttpConnection(http.client.HTTPConnection):
    """Connects as all of this package does, TLS included."""

    def __init__(self, address: Address, trust: Trust) -> None:
        super().__init__(address.host, address.port)
        self._address = address
        self._trust = trust

    def connect(self) -> None:
        self.sock = dial(self._address, self._trust)
        self.sock.settimeout(ANSWER_SECONDS)


class _Transport(xmlrpc.client.Transport):
    """Keeps one connection open between calls, and never sends a call twice.

    The base class sends a request again when the connection breaks, whether or not the first one was carried out.
    """

    user_agent = "xo_warmig"
    accept_gzip_encoding = False

    def __init__(self, address: Address, trust: Trust, origin: str) -> None:
        super().__init__(use_builtin_types=False)
        self._address = address
        self._trust = trust
        self._origin = origin
        self._http: _HttpConnection | None = None
        self.interrupted = False

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._http is None:
            self._http = _HttpConnection(self._address, self._trust)
        self._extra_headers: list[tuple[str, str]] = [(_ORIGIN_HEADER, self._origin)] if self._origin else []
        return self._http

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        if self._http is not None and self._http.sock is not None and _was_closed(self._http.sock):
            self.close()
        connection = self.make_connection(host)
        if connection.sock is None:
            connection.connect()
        if self.interrupted:  # before there was a socket to shut
            raise ConnectionAbortedError(errno.ECONNABORTED, "it was disconnected")
        return self.single_request(host, handler, request_body, verbose)

    def parse_response(self, response: Any) -> Any:
        """In larger pieces than the base class's, each of which stays in memory until the end: the changed blocks of 6 TiB are 16 MiB."""
        parser, unmarshaller = self.getparser()
        while piece := response.read(_PIECE_BYTES):
            parser.feed(piece)
        parser.close()
        return unmarshaller.close()

    def interrupt(self) -> None:
        self.interrupted = True
        connection = self._http
        if connection is not None and connection.sock is not None:
            shut(connection.sock)

    def close(self) -> None:
        connection, self._http = self._http, None
        if connection is not None:
            connection.close()


def shut(sock: socket.socket) -> None:
    """Wake whoever waits on the socket, without giving its number away while they may still use it."""
    try:
        # The plain socket's own method: that of SSLSocket also forgets the TLS state, under the feet of a thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return


def _was_closed(sock: socket.socket) -> bool:
    """Whether an idle connection became readable, which only its end can make it."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
