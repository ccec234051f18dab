"""Both directions of a disk transfer's connection: bytes counted, slowed to the pool's bandwidth, and broken where a fault says so."""

import contextlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import BinaryIO

from xo_warmig.simulator.bandwidth import Bandwidth
from xo_warmig.simulator.faults import TransferFaults

_PIECE = 256 * 1024  # through memory, when the kernel cannot send by itself
_REPORT_SECONDS = 0.25
_DRAIN_BYTES = 8 << 20


class _Flow:
    """How many bytes may pass now."""

    def __init__(self, bandwidth: Bandwidth, faults: TransferFaults, progress: Callable[[int], None]) -> None:
        self.passed = 0
        self._bandwidth = bandwidth
        self._faults = faults
        self._corrupting = False
        self._progress = progress
        self._report_at = time.monotonic() + _REPORT_SECONDS

    def allowed(self, wanted: int) -> int:
        """Between 1 and ``wanted``. Faults that are due strike first."""
        self.strike()
        if (at := self._faults.next_at) is not None:
            wanted = min(wanted, at - self.passed)
        count = self._bandwidth.piece_bytes(1 if self._corrupting else wanted)
        self._bandwidth.take(count)
        return count

    def strike(self) -> None:
        """Let the faults strike whose place has come."""
        while (at := self._faults.next_at) is not None and at <= self.passed:
            self._corrupting = self._faults.strike() or self._corrupting

    def corrupting(self) -> bool:
        """Whether the byte that passes now is to be changed. Asked once for each piece."""
        asked, self._corrupting = self._corrupting, False
        return asked

    def count(self, count: int) -> None:
        self.passed += count
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + _REPORT_SECONDS
            self._progress(self.passed)


class Outlet:
    """The body of an export. Errors of the connection are OSErrors."""

    def __init__(
        self, connection: socket.socket, bandwidth: Bandwidth, faults: TransferFaults, progress: Callable[[int], None]
    ) -> None:
        self._connection = connection
        self._plain = not isinstance(connection, ssl.SSLSocket)
        self._more = socket.MSG_MORE if self._plain else 0
        self._flow = _Flow(bandwidth, faults, progress)

    @property
    def sent_bytes(self) -> int:
        return self._flow.passed

    def announce(self, data: bytes, *, more: bool = False) -> None:
        """Send what is no part of the body: it is not counted, not slowed, and no fault strikes in it."""
        self._connection.sendall(data, self._more if more else 0)

    def strike(self) -> None:
        """Let the faults strike that are due before the next byte."""
        self._flow.strike()

    def send(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send all of it; ``more``: something follows at once."""
        view = memoryview(data)
        while view:
            count = self._flow.allowed(len(view))
            piece: bytes | memoryview = view[:count]
            if self._flow.corrupting():
                piece = bytes([piece[0] ^ 0xFF])
            self._connection.sendall(piece, self._more if more else 0)
            self._flow.count(count)
            view = view[count:]

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of a file; by the kernel alone where it can."""
        end = offset + count
        while offset < end:
            allowed = self._flow.allowed(end - offset)
            if self._flow.corrupting():
                self._put(bytes([os.pread(fd, 1, offset)[0] ^ 0xFF]))
                offset += 1
            elif self._plain:
                sent = os.sendfile(self._connection.fileno(), fd, offset, allowed)
                self._flow.count(sent)
                offset += sent
            else:
                offset += self._put(os.pread(fd, min(allowed, _PIECE), offset))

    def finish(self) -> None:
        """The body is complete."""
        self._flow.strike()

    def _put(self, data: bytes) -> int:
        self._connection.sendall(data)
        self._flow.count(len(data))
        return len(data)


class Inlet:
    """The body of an import.

    Raises:
        EOFError: the client has gone before the end.
        OSError: the connection broke.
    """

    def __init__(
        self, rfile: BinaryIO, bandwidth: Bandwidth, faults: TransferFaults, progress: Callable[[int], None]
    ) -> None:
        self._read: Callable[[memoryview], int] = rfile.readinto  # type: ignore[attr-defined]
        self._flow = _Flow(bandwidth, faults, progress)
        self._bin = memoryview(bytearray(64 * 1024))

    @property
    def received_bytes(self) -> int:
        return self._flow.passed

    def fill(self, view: memoryview) -> None:
        """Fill all of ``view``."""
        while view:
            count = self._flow.allowed(len(view))
            got = self._read(view[:count])
            if got < count:
                self._flow.count(got)
                raise EOFError(f"the body ended after {self._flow.passed} bytes")
            if self._flow.corrupting():
                view[0] ^= 0xFF
            self._flow.count(count)
            view = view[count:]

    def take(self, count: int) -> bytes:
        """So many bytes; for headers and tables."""
        data = bytearray(count)
        self.fill(memoryview(data))
        return bytes(data)

    def skip(self, count: int) -> None:
        """Read and forget."""
        while count:
            piece = min(count, len(self._bin))
            self.fill(self._bin[:piece])
            count -= piece


def hang_up(connection: socket.socket) -> None:
    """End the connection so that the client sees its end now, and no reset before it has read what was sent.

    What the client has sent and nobody wants is read and dropped, as far as it is already here.
    """
    with contextlib.suppress(OSError, ValueError):
        connection.settimeout(0)
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap()  # says goodbye, and does not wait for the answer
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError, ValueError):
        left = _DRAIN_BYTES
        while left > 0 and (data := connection.recv(65536)):
            left -= len(data)


def cut_off(connection: socket.socket) -> None:
    """Break the connection in both directions.

    With a reset when it is closed: a client whose sending stands at a closed window would else learn of it a minute later.
    """
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
