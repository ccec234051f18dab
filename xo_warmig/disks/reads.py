"""What joins the reader of a disk and its connections: reads one way, and their ends back."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from xo_warmig.disks.loads import Load
from xo_warmig.disks.pipe import Closed
from xo_warmig.model.extents import Extent, split
from xo_warmig.model.units import KIB

# As much as xapi-nbd reads from the disk at a time; so a buffer of 2 MiB keeps four connections busy.
READ_BYTES = 512 * KIB


class Filling:
    """A load and the buffer that it is read into; ``left`` of its reads are not done."""

    __slots__ = ("buffer", "left", "load")

    def __init__(self, load: Load, buffer: bytearray | bytes) -> None:
        self.load = load
        self.buffer = buffer
        self.left = 0


class Read(NamedTuple):
    """Fill ``view`` with this part of the disk."""

    extent: Extent
    view: memoryview
    filling: Filling


class ReadSource(Protocol):
    """Where a connection takes its reads from: ``ReadQueue``, or a stage before it."""

    def take(self, *, wait: bool) -> Read | None:
        """See ``ReadQueue``."""
        ...

    def done(self, read: Read) -> None:
        """See ``ReadQueue``."""
        ...


class DiskReader(Protocol):
    """One connection to a disk. It is used by one thread."""

    @property
    def size_bytes(self) -> int:
        """Of the disk that it reads."""
        ...

    def serve(self, reads: ReadSource, depth: int) -> None:
        """Do reads until they end, with up to ``depth`` of them asked for at a time.

        Raises:
            TransferError: the connection broke, or a read failed. FormatError: it makes no sense. Closed: another one failed.
        """
        ...

    def close(self) -> None:
        """End the connection. May be called twice, and from another thread: a blocked ``serve`` then raises."""
        ...


class ReadQueue:
    """Hands out reads in the order in which they came, to whichever connection asks first."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._filled = threading.Condition(lock)
        self._reads: deque[Read] = deque()
        self._idle = 0  # connections that wait and have nothing to do
        self._ended = False
        self._failure: BaseException | None = None

    def put(self, filling: Filling) -> None:
        """All reads of a load."""
        reads = list(_reads_of(filling))
        with self._arrived:
            filling.left = len(reads)
            self._reads.extend(reads)
            self._arrived.notify_all()

    def take(self, *, wait: bool) -> Read | None:
        """The next read, waited for or not; None when there is none now, or with ``wait`` never again.

        Who waits has nothing to do, and so comes before those that would only have one read more.

        Raises Closed when a read has failed.
        """
        with self._arrived:
            if wait:
                self._idle += 1
                self._arrived.wait_for(lambda: self._reads or self._ended or self._failure)
                self._idle -= 1
            if self._failure is not None:
                raise Closed
            if len(self._reads) <= (0 if wait else self._idle):
                return None
            return self._reads.popleft()

    def done(self, read: Read) -> None:
        """Its view is filled."""
        with self._filled:
            read.filling.left -= 1
            if not read.filling.left:
                self._filled.notify_all()

    def wait_for(self, filling: Filling) -> None:
        """All reads of the load are done. Raises what the first failure was."""
        with self._filled:
            self._filled.wait_for(lambda: not filling.left or self._failure)
            if self._failure is not None:
                raise self._failure

    def fail(self, why: BaseException) -> None:
        """Everybody stops; the first failure is the one to tell."""
        with self._filled:
            self._failure = self._failure or why
            self._filled.notify_all()
            self._arrived.notify_all()

    def end(self) -> None:
        """No more reads will come."""
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()


def _reads_of(filling: Filling) -> Iterable[Read]:
    view = memoryview(filling.buffer)
    for part in filling.load.parts if filling.load.stored else ():
        for extent in split([Extent(part.offset, part.length)], READ_BYTES):
            start = part.start + extent.offset - part.offset
            yield Read(extent, view[start : start + extent.length], filling)
