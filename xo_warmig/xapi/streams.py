"""The two ends of a disk transfer as blocking byte streams over a socket, in clear or over TLS.

A stall is no byte for the stall time; the time between two calls does not count, so that an import may stand open and idle.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence

from xo_warmig.errors import TransferError, TransferStalled
from xo_warmig.xapi.http_head import FAILURE_PREFIX, failure_text
from xo_warmig.xapi.rpc import shut

STALL_SECONDS = 300.0
_MOST_BUFFERS = 1024  # IOV_MAX
_TLS_RECORD_BYTES = 16 * 1024
_FAILURE_BYTES = 8 * 1024
_FAILURE_SECONDS = 2.0
_TIMED_OUT = (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Explain = Callable[[str], TransferError]  # words of the network or the pool made an error that also knows the task's


class _Refused(Exception):
    """The server ended the connection, and wrote this before."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.page = page


class SocketStream:
    """What both ends share: the socket, its end, and who may be using it."""

    def __init__(self, sock: socket.socket, *, stall_seconds: float, explain: Explain) -> None:
        self._sock = sock
        self._secure = isinstance(sock, ssl.SSLSocket)
        self._stall_seconds = stall_seconds
        self._explain = explain
        self._closed = False
        self._using = threading.Lock()  # held by whoever is inside a call on the socket
        set_stall(sock, stall_seconds)

    @property
    def apart(self) -> bool:
        """See ``ByteSource``: over TLS."""
        return self._secure

    def close(self) -> None:
        """Close the connection; whoever is blocked on it is woken, and raises."""
        self._closed = True
        shut(self._sock)
        with self._using:
            self._sock.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What the socket raises, as errors of ours. Entered before the lock, as asking the pool for its reasons takes time."""
        try:
            yield
        except _Refused as refusal:
            raise self._explain(failure_text(refusal.page) or "the pool ended the connection") from refusal.__cause__
        except _TIMED_OUT as error:
            if self._closed:
                raise stopped() from error
            raise TransferStalled(
                f"no byte moved for {self._stall_seconds:.0f} s", evidence={"stall_seconds": self._stall_seconds}
            ) from error
        except OSError as error:
            if self._closed:
                raise stopped() from error
            raise self._explain(f"the connection broke: {error.strerror or error}") from error

    def _receive(self, view: memoryview) -> int:
        """Fill ``view`` unless the stream ends first."""
        count, flags = 0, 0 if self._secure else socket.MSG_WAITALL
        while count < len(view):
            received = self._sock.recv_into(view[count:], 0, flags)
            if received == 0:
                break
            count += received
        return count

    def _send(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        if self._secure:
            for piece in coalesced(buffers):
                self._sock.sendall(piece)
            return
        left = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        first = 0
        while first < len(left):
            sent = self._sock.sendmsg(left[first : first + _MOST_BUFFERS])
            while first < len(left) and sent >= len(left[first]):
                sent -= len(left[first])
                first += 1
            if sent:
                left[first] = left[first][sent:]


class SocketSource(SocketStream):
    """The body of an export. Fits ``disks.streams.ByteSource``."""

    def __init__(
        self,
        sock: socket.socket,
        first: bytes,
        *,
        stall_seconds: float,
        silent_seconds: float = 0.0,
        explain: Explain,
    ) -> None:
        """``first``: what came together with the head of the answer; ``silent_seconds``: so much longer the first byte may take."""
        super().__init__(sock, stall_seconds=stall_seconds + silent_seconds, explain=explain)
        self._later_seconds = stall_seconds
        self._first = memoryview(first)
        self._begun = False

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` whole unless the stream ends first; see ``ByteSource``."""
        with self._errors(), self._using:
            if self._closed:
                raise stopped()
            count = self._fill(view)
            if self._closed:
                raise stopped()
            if not self._begun and count:
                self._begun = True
                self._stall_seconds = self._later_seconds
                set_stall(self._sock, self._stall_seconds)
                self._refuse_failure(view[:count])
        return count

    def _fill(self, view: memoryview) -> int:
        count = min(len(self._first), len(view))
        view[:count] = self._first[:count]
        self._first = self._first[count:]
        return count + self._receive(view[count:])

    def _refuse_failure(self, start: memoryview) -> None:
        """Since 8.0 a disk that cannot be attached is told of inside the body, after a 200."""
        if bytes(start[: len(FAILURE_PREFIX)]) == FAILURE_PREFIX:
            raise _Refused(bytes(start[:_FAILURE_BYTES]) + read_rest(self._sock))


class SocketSink(SocketStream):
    """The body of an import. Fits ``disks.streams.ByteSink``."""

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send all of all buffers, in order; see ``ByteSink``."""
        with self._errors(), self._using:
            if self._closed:
                raise stopped()
            try:
                self._send(buffers)
            except (BrokenPipeError, ConnectionResetError) as error:
                if self._closed:
                    raise stopped() from error
                raise _Refused(read_rest(self._sock)) from error


def coalesced(buffers: Sequence[bytes | bytearray | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes with the small buffers put before the next large one, so that they cost no TLS record of their own."""
    small = bytearray()
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        if not small and len(view) >= _TLS_RECORD_BYTES:
            yield view
            continue
        taken = min(len(view), _TLS_RECORD_BYTES - len(small))
        small += view[:taken]
        if len(small) == _TLS_RECORD_BYTES:
            yield bytes(small)
            small.clear()
        if taken < len(view):
            rest = view[taken:]
            if len(rest) >= _TLS_RECORD_BYTES:
                yield rest
            else:
                small += rest
    if small:
        yield bytes(small)


def read_rest(sock: socket.socket) -> bytes:
    """What else the other side has to say, for a short time and up to a bound."""
    rest = bytearray()
    with contextlib.suppress(OSError):
        set_stall(sock, _FAILURE_SECONDS)
        while len(rest) < _FAILURE_BYTES and (piece := sock.recv(_FAILURE_BYTES)):
            rest += piece
    return bytes(rest)


def set_stall(sock: socket.socket, seconds: float) -> None:
    """Let calls on the socket fail after ``seconds`` without progress.

    In clear by the kernel's own timeouts, as Python's would make the socket non-blocking, and MSG_WAITALL void.
    """
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(seconds)
        return
    sock.settimeout(None)
    timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def stopped() -> TransferError:
    """What is raised to whoever uses a stream that was closed here."""
    return TransferError("the transfer was stopped", code="TRANSFER_STOPPED")
