"""Opening a transfer: connect to a host that has the disk's storage, ask, follow redirects, read the head of the answer. Blocks."""

import contextlib
import socket
from collections.abc import Mapping
from typing import NamedTuple

from xo_warmig.errors import TransferError, TransferStalled
from xo_warmig.xapi.address import Address, parse_location
from xo_warmig.xapi.dial import dial
from xo_warmig.xapi.http_head import (
    END_OF_HEAD,
    LONGEST_HEAD_BYTES,
    Head,
    failure_text,
    parse_head,
    request_bytes,
)
from xo_warmig.xapi.rpc import shut
from xo_warmig.xapi.streams import read_rest, set_stall
from xo_warmig.xapi.trust import Trust

BUFFER_BYTES = 4 * 1024 * 1024
_MOST_REDIRECTIONS = 3
_REDIRECTIONS = frozenset({301, 302, 307, 308})


class Opened(NamedTuple):
    """A connection whose answer was 200; ``first`` came along with the head. ``host``: the name or address that answered."""

    sock: socket.socket
    first: bytes
    host: str


class Opening:
    """One attempt. ``stop`` may be called from another thread; ``began`` and ``refused`` tell what the pool may have begun."""

    def __init__(self, method: str, path: str, query: Mapping[str, str], trust: Trust, *, stall_seconds: float) -> None:
        self._method = method
        self._path = path
        self._query = query
        self._trust = trust
        self._stall_seconds = stall_seconds
        self._sock: socket.socket | None = None
        self._stopped = False
        self.began = False
        self.refused = False

    def stop(self) -> None:
        """Give it up: ``open`` raises soon, or its result is to be closed."""
        self._stopped = True
        if self._sock is not None:
            shut(self._sock)

    def open(self, addresses: list[Address]) -> Opened:
        """Ask the first host that takes a connection.

        Raises:
            TransferError: no host answers, or the one that does refuses. TransferStalled: it does not answer in the stall time.
        """
        failure: OSError | None = None
        for address in addresses:
            try:
                sock = dial(address, self._trust, buffer_bytes=BUFFER_BYTES)
            except OSError as error:
                failure = error
                continue
            return self._ask(sock, address)
        names = ", ".join(address.host for address in addresses)
        raise TransferError(
            f"no connection to {names}: {failure}"
            if addresses
            else "no live host has the storage of the disk attached",
            code="HOST_UNREACHABLE",
            evidence={"hosts": [address.host for address in addresses]},
            remedy="see that a host with the storage attached is up and can be reached from here",
        ) from failure

    def _ask(self, sock: socket.socket, address: Address) -> Opened:
        path, query = self._path, self._query
        for _ in range(_MOST_REDIRECTIONS):
            head, first = self._exchange(sock, request_bytes(self._method, path, query, address))
            if head.status == 200:
                return Opened(sock, first, address.host)
            page = first + read_rest(sock) if head.status not in _REDIRECTIONS else b""
            sock.close()
            if head.status not in _REDIRECTIONS:
                self.refused = True
                raise TransferError(
                    f"{address.host} answered {head.status} {head.reason}: {failure_text(page) or 'without a reason'}",
                    code=f"HTTP_{head.status}",
                    evidence={"host": address.host, "status": head.status},
                )
            address, path = self._redirection(head)
            query = {}
            sock = self._dial_again(address)
        sock.close()
        raise TransferError("the pool's hosts redirect to each other", code="BAD_ANSWER")

    def _exchange(self, sock: socket.socket, request: bytes) -> tuple[Head, bytes]:
        self._sock = sock
        try:
            if self._stopped:
                raise TransferError("the transfer was stopped", code="TRANSFER_STOPPED")
            set_stall(sock, self._stall_seconds)
            self.began = True
            sock.sendall(request)
            return self._read_head(sock)
        except (TimeoutError, BlockingIOError) as error:
            sock.close()
            raise TransferStalled(f"the pool did not answer for {self._stall_seconds:.0f} s") from error
        except OSError as error:
            sock.close()
            raise TransferError(f"the connection broke before the answer: {error.strerror or error}") from error
        except BaseException:
            sock.close()
            raise

    def _read_head(self, sock: socket.socket) -> tuple[Head, bytes]:
        received = bytearray()
        while (end := received.find(END_OF_HEAD)) < 0:
            piece = sock.recv(LONGEST_HEAD_BYTES)
            if not piece or len(received) + len(piece) > 4 * LONGEST_HEAD_BYTES:
                what = "ended before its head was complete" if not piece else "has a head without an end"
                raise TransferError(f"the pool's answer {what}", code="BAD_ANSWER")
            received += piece
        return parse_head(bytes(received[:end])), bytes(received[end + len(END_OF_HEAD) :])

    def _redirection(self, head: Head) -> tuple[Address, str]:
        with contextlib.suppress(ValueError):
            return parse_location(head.headers.get("location", ""))
        raise TransferError("the pool redirects to nowhere", code="BAD_ANSWER", evidence={"status": head.status})

    def _dial_again(self, address: Address) -> socket.socket:
        try:
            return dial(address, self._trust, buffer_bytes=BUFFER_BYTES)
        except OSError as error:
            raise TransferError(
                f"the pool redirects to {address.host}, which cannot be reached: {error}", code="HOST_UNREACHABLE"
            ) from error
