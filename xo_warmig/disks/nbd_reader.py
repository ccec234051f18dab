"""One NBD connection after its negotiation, with several reads in flight, each straight into the buffer that it is sent from."""

import contextlib

from xo_warmig.disks.reads import Read, ReadSource
from xo_warmig.disks.streams import ByteDuplex
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.formats.nbd import DISCONNECT, REPLY_BYTES, Reads


class NbdReader:
    """Fits ``DiskReader``."""

    def __init__(self, stream: ByteDuplex, size_bytes: int) -> None:
        """``size_bytes`` of the export, as the server said."""
        self.size_bytes = size_bytes
        self._stream = stream
        self._open: Reads[Read] = Reads(size_bytes)
        self._in_flight = 0  # reads that were asked for and whose data has not come whole
        self._header = memoryview(bytearray(REPLY_BYTES))
        self._closed = False

    def serve(self, reads: ReadSource, depth: int) -> None:
        """See ``DiskReader``."""
        while self._ask(reads, depth):
            reads.done(self._receive())

    def close(self) -> None:
        """A server that waits for requests is told of the end; one that is in the middle of an answer sees it."""
        if not self._closed and not self._in_flight:
            with contextlib.suppress(WarmigError):
                self._stream.writev([DISCONNECT])
        self._closed = True
        self._stream.close()

    def _ask(self, reads: ReadSource, depth: int) -> bool:
        """Ask for what there is, waiting only where nothing is in flight; whether anything is then."""
        requests = []
        while self._in_flight < depth:
            read = reads.take(wait=not self._in_flight)
            if read is None:
                break
            requests.append(self._open.ask(read.extent, read))
            self._in_flight += 1
        if requests:
            self._stream.writev(requests)
        return self._in_flight > 0

    def _receive(self) -> Read:
        self._fill(self._header)
        read = self._open.answered(self._header)
        self._fill(read.view)
        self._in_flight -= 1
        return read

    def _fill(self, view: memoryview) -> None:
        if self._stream.readinto(view) < len(view):
            raise TransferError(
                "the NBD server closed the connection in the middle of a read",
                code="NBD_CONNECTION_LOST",
                evidence={"reads_in_flight": self._in_flight},
                remedy="The storage of the disk could not be read, or the host stops; the pool's logs say which. "
                "The pass can be repeated.",
            )
