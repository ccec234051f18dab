"""What joins the reader of a disk and its connections: reads one way, and their ends back."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from xo_warmig.disks.loads import Load
from xo_warmig.disks.pipe import Closed
from xo_warmig.disks.window import Window
from xo_warmig.model.extents import Extent, split
from xo_warmig.model.units import KIB

# As much as xapi-nbd reads from the disk at a time; so a buffer of 2 MiB keeps four connections busy.
READ_BYTES = 512 * KIB
# A connection's server does one read after the other: one that it does, one that it finds when it is done.
LEAST_PER_CONNECTION_BYTES = 2 * READ_BYTES


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

    def take(self, in_flight_bytes: int) -> Read | None:
        """See ``ReadQueue``."""
        ...

    def done(self, read: Read, *, asked: float) -> None:
        """See ``ReadQueue``."""
        ...


class DiskReader(Protocol):
    """One connection to a disk. It is used by one thread."""

    @property
    def size_bytes(self) -> int:
        """Of the disk that it reads."""
        ...

    def serve(self, reads: ReadSource) -> None:
        """Do reads until they end, with as many of them asked for at a time as ``reads`` gives out.

        Raises:
            TransferError: the connection broke, or a read failed. FormatError: it makes no sense. Closed: another one failed.
        """
        ...

    def close(self) -> None:
        """End the connection. May be called twice, and from another thread: a blocked ``serve`` then raises."""
        ...


class ReadQueue:
    """Hands out reads in the order in which they came, to whichever connection asks first, and no more at a time than its window holds."""

    def __init__(self, connections: int = 1, window: Window | None = None) -> None:
        """``window``: what all connections together may have in flight."""
        self._connections = max(1, connections)
        self._window = window or Window(self._connections * LEAST_PER_CONNECTION_BYTES)
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

    @property
    def window_bytes(self) -> int:
        """How much may be in flight now."""
        return self._window.bytes

    def take(self, in_flight_bytes: int) -> Read | None:
        """The next read for a connection that has so much in flight: waited for where that is nothing, and None then when none will
        come again; else None when there is none now, or the connection has its part of what may be in flight.

        Who waits has nothing to do, and so comes before those that would only have one read more.

        Raises Closed when a read has failed.
        """
        wait = not in_flight_bytes
        with self._arrived:
            if wait:
                self._idle += 1
                self._arrived.wait_for(lambda: self._reads or self._ended or self._failure)
                self._idle -= 1
            if self._failure is not None:
                raise Closed
            if len(self._reads) <= (0 if wait else self._idle):
                return None
            if not wait and in_flight_bytes >= self._window.bytes // self._connections:
                return None
            return self._reads.popleft()

    def done(self, read: Read, *, asked: float) -> None:
        """Its view is filled; it was asked for at this moment, in monotonic seconds."""
        with self._filled:
            self._window.answered(read.extent.length, asked=asked, now=time.monotonic())
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
