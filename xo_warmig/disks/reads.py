"""What joins the reader of a disk and its connections: reads one way, and their ends back.

Connections join and leave while the disk is read. One that breaks gives back what it had not done: nothing of that counts, so another
one reads all of it again.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from xo_warmig.disks.loads import Load
from xo_warmig.disks.pipe import Closed
from xo_warmig.disks.window import Window
from xo_warmig.errors import TransferError
from xo_warmig.model.extents import Extent, split
from xo_warmig.model.units import KIB

# As much as xapi-nbd reads from the disk at a time; so a buffer of 2 MiB keeps four connections busy.
READ_BYTES = 512 * KIB
# A connection's server does one read after the other: one that it does, one that it finds when it is done.
LEAST_PER_CONNECTION_BYTES = 2 * READ_BYTES
# Connections that break under one and the same read: after so many it is the disk that cannot be read, not they.
MOST_BREAKS = 3


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
    """Where a connection takes its reads from: its ``Lane``, or a stage before that."""

    def take(self, in_flight_bytes: int) -> Read | None:
        """See ``ReadQueue``."""
        ...

    def done(self, read: Read, *, asked: float) -> None:
        """See ``ReadQueue``."""
        ...


class Lane(ReadSource, Protocol):
    """One connection's place at a queue."""

    def leave(self) -> None:
        """It gets no more reads, and ends when it has done those that it has. From any thread."""
        ...

    def end(self, why: BaseException | None = None, *, others: bool = True) -> None:
        """The connection has ended, its thread with it; ``why``: it broke. ``others``: there are, or will be, some to go on.

        What it has not done is for those. Without them, or where it may not be done again, all reading fails.
        """
        ...


class Reads(Protocol):
    """What connections join: ``ReadQueue``, or a stage before it."""

    @property
    def done_bytes(self) -> int:
        """Of all reads so far."""
        ...

    def join(self) -> Lane:
        """One more connection."""
        ...

    def fail(self, why: BaseException) -> None:
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


class DiskLanes(Protocol):
    """The connections to one disk, of which some may join and leave while it is read: ``disks.lanes.Lanes``, or a stage before it."""

    def __bool__(self) -> bool:
        """Whether anything can be read over them."""
        ...

    def check(self, size_bytes: int) -> None:
        """See that those which are open have a disk of so many bytes. Raises TransferError with code DISK_RESIZED (R14)."""
        ...

    def begin(self, reads: Reads, size_bytes: int) -> None:
        """Let all of them read, and those that join."""
        ...

    def close(self) -> None:
        """Close all. May be called twice, and from another thread."""
        ...

    def settle(self) -> None:
        """All that read have ended, as there is nothing more to read, when this returns."""
        ...


class ReadQueue:
    """Hands out reads in the order in which they came, to whichever connection asks first, and no more at a time than its window holds.

    Fits ``Reads``.
    """

    def __init__(self, window: Window | None = None, *, per_lane_bytes: int = LEAST_PER_CONNECTION_BYTES) -> None:
        """``window``: what all connections together may have in flight, and ``per_lane_bytes`` each of them at least."""
        self._per_lane_bytes = per_lane_bytes
        self._window = window or Window(per_lane_bytes)
        lock = threading.Lock()
        self._arrived = threading.Condition(lock)
        self._filled = threading.Condition(lock)
        self._reads: deque[Read] = deque()
        self._lanes = 0
        self._idle = 0  # connections that wait and have nothing to do
        self._broken: Counter[int] = Counter()  # by the offset of the read that was not done
        self._ended = False
        self._failure: BaseException | None = None
        self.done_bytes = 0

    def join(self) -> Lane:
        """See ``Reads``."""
        self._count_lanes(1)
        return _QueueLane(self)

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

    def take(self, lane: "_QueueLane", in_flight_bytes: int) -> Read | None:
        """The next read for a connection that has so much in flight: waited for where that is nothing, and None then when none will
        come again; else None when there is none now, or the connection has its part of what may be in flight.

        Who waits has nothing to do, and so comes before those that would only have one read more.

        Raises Closed when a read has failed.
        """
        wait = not in_flight_bytes
        with self._arrived:
            if wait:
                self._idle += 1
                self._arrived.wait_for(lambda: self._reads or lane.leaving or self._ended or self._failure)
                self._idle -= 1
            if self._failure is not None:
                raise Closed
            if lane.leaving or len(self._reads) <= (0 if wait else self._idle):
                return None
            if not wait and in_flight_bytes >= self._window.bytes // max(1, self._lanes):
                return None
            read = self._reads.popleft()
            lane.in_hand.append(read)
            return read

    def done(self, read: Read, *, asked: float) -> None:
        """Its view is filled; it was asked for at this moment, in monotonic seconds."""
        with self._filled:
            self._window.answered(read.extent.length, asked=asked, now=time.monotonic())
            self.done_bytes += read.extent.length
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

    def wake(self) -> None:
        """Whoever waits looks again."""
        with self._arrived:
            self._arrived.notify_all()

    def end_lane(self, undone: Sequence[Read], why: BaseException | None, *, others: bool) -> None:
        """For ``Lane.end``."""
        self._count_lanes(-1)
        self._broken.update(read.extent.offset for read in undone if why is not None)
        tried = max((self._broken[read.extent.offset] for read in undone), default=0)
        if why is not None and not (others and isinstance(why, TransferError) and tried < MOST_BREAKS):
            self.fail(why)
            return
        with self._arrived:
            self._reads.extendleft(reversed(undone))
            self._arrived.notify_all()

    def _count_lanes(self, more: int) -> None:
        with self._arrived:
            self._lanes += more
            self._window.widen(max(1, self._lanes) * self._per_lane_bytes)


class _QueueLane:
    """Fits ``Lane``. ``in_hand``: what was taken and is not done."""

    def __init__(self, queue: ReadQueue) -> None:
        self._queue = queue
        self.in_hand: list[Read] = []
        self.leaving = False

    def take(self, in_flight_bytes: int) -> Read | None:
        return self._queue.take(self, in_flight_bytes)

    def done(self, read: Read, *, asked: float) -> None:
        self.in_hand.remove(read)
        self._queue.done(read, asked=asked)

    def leave(self) -> None:
        self.leaving = True
        self._queue.wake()

    def end(self, why: BaseException | None = None, *, others: bool = True) -> None:
        undone, self.in_hand = self.in_hand, []
        self._queue.end_lane(undone, why, others=others)


def _reads_of(filling: Filling) -> Iterable[Read]:
    view = memoryview(filling.buffer)
    for part in filling.load.parts if filling.load.stored else ():
        for extent in split([Extent(part.offset, part.length)], READ_BYTES):
            start = part.start + extent.offset - part.offset
            yield Read(extent, view[start : start + extent.length], filling)
