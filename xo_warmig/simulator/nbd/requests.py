"""The requests of one connection in the order in which they came, each when its answer may leave."""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator

from xo_warmig.simulator.nbd import wire

_MOST_WAITING = 4096  # the client's further requests wait in the connection
_BUFFER_REQUESTS = 256
_SHORTEST_POLL_SECONDS = 0.001


class Requests:
    """Each is given ``latency_seconds`` after it came, or when the ones before it are done. Meanwhile others may come, so what a client
    has under way is late together and not one after the other."""

    def __init__(self, connection: socket.socket | ssl.SSLSocket, latency_seconds: float) -> None:
        self._connection = connection
        self._latency_seconds = latency_seconds
        self._buffer = memoryview(bytearray(_BUFFER_REQUESTS * wire.REQUEST_BYTES))
        self._filled = 0
        self._waiting: deque[tuple[float, bytes]] = deque()  # not parsed: what follows the last one may be no request
        self._ended = False
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def __iter__(self) -> Iterator[wire.Request]:
        """Until the client says nothing more. OSError when the connection broke, BadMagic."""
        while not self._ended or self._waiting:
            if not self._waiting:
                self._receive()
                continue
            due, data = self._waiting[0]
            if self._is_due(due):
                self._take_in()
                self._waiting.popleft()
                yield wire.request(data)

    def _is_due(self, due: float) -> bool:
        """Whether it is time; while it is not, this waits a little, or takes in what has come."""
        if not self._latency_seconds:
            return True
        left = due - time.monotonic()
        if left <= 0:
            return True
        if self._ended or len(self._waiting) >= _MOST_WAITING or left < _SHORTEST_POLL_SECONDS:
            time.sleep(left)
        elif self._is_readable(left):
            self._receive()
        return False

    def _take_in(self) -> None:
        """What came while the request before was answered: its time runs from now, and not from when all that are due are done."""
        if self._latency_seconds and not self._ended and len(self._waiting) < _MOST_WAITING and self._is_readable(0):
            self._receive()

    def _is_readable(self, seconds: float) -> bool:
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        return bool(self._poll.poll(int(seconds * 1000)))

    def _receive(self) -> None:
        got = self._connection.recv_into(self._buffer[self._filled :])
        now = time.monotonic()
        self._ended = got == 0
        self._filled += got
        whole = self._filled // wire.REQUEST_BYTES * wire.REQUEST_BYTES
        for at in range(0, whole, wire.REQUEST_BYTES):
            data = bytes(self._buffer[at : at + wire.REQUEST_BYTES])
            self._waiting.append((now + self._latency_seconds, data))
        self._buffer[: self._filled - whole] = self._buffer[whole : self._filled]
        self._filled -= whole
