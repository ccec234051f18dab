"""One NBD connection after its negotiation, with several reads in flight, each straight into the buffer that it is sent from."""

import contextlib
import time
from typing import NamedTuple

from xo_warmig.disks.reads import Read, ReadSource
from xo_warmig.disks.streams import ByteDuplex
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.formats.nbd import DISCONNECT, REPLY_BYTES, Reads


class _Asked(NamedTuple):
    """A read, and the monotonic second at which it was asked for."""

    read: Read
    at: float


class NbdReader:
    """Fits ``DiskReader``."""

    def __init__(self, stream: ByteDuplex, size_bytes: int) -> None:
        """``size_bytes`` of the export, as the server said."""
        self.size_bytes = size_bytes
        self._stream = stream
        self._open: Reads[_Asked] = Reads(size_bytes)
        self._in_flight_bytes = 0  # of reads that were asked for and whose data has not come whole
        self._header = memoryview(bytearray(REPLY_BYTES))
        self._closed = False

    def serve(self, reads: ReadSource) -> None:
        """See ``DiskReader``."""
        while self._ask(reads):
            read, asked = self._receive()
            reads.done(read, asked=asked)

    def close(self) -> None:
        """A server that waits for requests is told of the end; one that is in the middle of an answer sees it."""
        if not self._closed and not self._in_flight_bytes:
            with contextlib.suppress(WarmigError):
                self._stream.writev([DISCONNECT])
        self._closed = True
        self._stream.close()

    def _ask(self, reads: ReadSource) -> bool:
        """Ask for what there is, waiting only where nothing is in flight; whether anything is then."""
        requests = []
        while (read := reads.take(self._in_flight_bytes)) is not None:
            requests.append(self._open.ask(read.extent, _Asked(read, time.monotonic())))
            self._in_flight_bytes += read.extent.length
        if requests:
            self._stream.writev(requests)
        return self._in_flight_bytes > 0

    def _receive(self) -> _Asked:
        self._fill(self._header)
        asked = self._open.answered(self._header)
        self._fill(asked.read.view)
        self._in_flight_bytes -= asked.read.extent.length
        return asked

    def _fill(self, view: memoryview) -> None:
        if self._stream.readinto(view) < len(view):
            raise TransferError(
                "the NBD server closed the connection in the middle of a read",
                code="NBD_CONNECTION_LOST",
                evidence={"in_flight_bytes": self._in_flight_bytes},
                remedy="The storage of the disk could not be read, or the host stops; the pool's logs say which. "
                "The pass can be repeated.",
            )
