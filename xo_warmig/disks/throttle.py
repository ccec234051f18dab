"""Streams that are held to a pace, as stages before those of the pools: the waiting is in the thread that reads or writes."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.disks.pace import Pace, Share
from xo_warmig.disks.reads import DiskLanes, Lane, Read, Reads
from xo_warmig.disks.streams import ByteSink, ByteSource

Buffers: TypeAlias = Sequence[bytes | bytearray | memoryview]


class Throttle:
    """What holds back one disk's copy: its shares of the limits on what is read of its source, and on what passes to or from its target.

    ``piece_bytes``: the most that a piece of the disk may have, for ``CopyOrder``.
    """

    def __init__(
        self, reading: Sequence[Share] = (), writing: Sequence[Share] = (), *, piece_bytes: int = BUFFER_BYTES
    ) -> None:
        self.piece_bytes = piece_bytes
        self._reading, self._writing = reading, writing
        self._reads: list[Pace] = []
        self._writes: list[Pace] = []

    def source(self, stream: ByteSource) -> ByteSource:
        """The source's stream, held to the limits there are."""
        return ThrottledSource(stream, self._pace(self._reading, self._reads)) if self._reading else stream

    def head(self, stream: ByteSource) -> ByteSource:
        """An export of the source's of which only the head is read, before the transfer: no part of what holds that back."""
        return ThrottledSource(stream, Pace(self._reading)) if self._reading else stream

    def lanes(self, lanes: DiskLanes) -> DiskLanes:
        """The source's, where it is read over several connections."""
        return ThrottledLanes(lanes, self._pace(self._reading, self._reads)) if self._reading and lanes else lanes

    def sink(self, stream: ByteSink) -> ByteSink:
        """The target's."""
        return ThrottledSink(stream, self._pace(self._writing, self._writes)) if self._writing else stream

    def back(self, stream: ByteSource) -> ByteSource:
        """The target's, when it is read back."""
        return ThrottledSource(stream, Pace(self._writing)) if self._writing else stream

    def back_lanes(self, lanes: DiskLanes) -> DiskLanes:
        """The same, over several connections."""
        return ThrottledLanes(lanes, Pace(self._writing)) if self._writing else lanes

    @property
    def held_back_seconds(self) -> float:
        """How long the copy has waited for its limits; its two ends wait side by side."""
        return max(sum(pace.waited_seconds for pace in paces) for paces in (self._reads, self._writes))

    @staticmethod
    def _pace(shares: Sequence[Share], paces: list[Pace]) -> Pace:
        pace = Pace(shares)
        paces.append(pace)
        return pace


class ThrottledSource:
    """Fits ``ByteSource``."""

    def __init__(self, stream: ByteSource, pace: Pace) -> None:
        self.stream = stream
        self._pace = pace

    @property
    def apart(self) -> bool:
        """The two ends wait side by side."""
        return True

    def readinto(self, view: memoryview) -> int:
        """See ``ByteSource``."""
        count = 0
        while count < len(view):
            passing = self._pace.take(len(view) - count)
            came = self.stream.readinto(view[count : count + passing])
            count += came
            if came < passing:
                break
        return count

    def close(self) -> None:
        """See ``ByteSource``; whoever waits for the pace finds the stream closed."""
        try:
            self.stream.close()
        finally:
            self._pace.stop()


class ThrottledLanes:
    """Fits ``DiskLanes``. All connections to a disk share one pace: what they read together is held to it."""

    def __init__(self, lanes: DiskLanes, pace: Pace) -> None:
        self.lanes = lanes
        self._pace = pace

    def __bool__(self) -> bool:
        return bool(self.lanes)

    def check(self, size_bytes: int) -> None:
        """See ``DiskLanes``."""
        self.lanes.check(size_bytes)

    def begin(self, reads: Reads, size_bytes: int) -> None:
        """See ``DiskLanes``."""
        self.lanes.begin(PacedReads(reads, self._pace), size_bytes)

    def close(self) -> None:
        """See ``DiskLanes``; whoever waits for the pace finds its connection closed."""
        try:
            self.lanes.close()
        finally:
            self._pace.stop()

    def settle(self) -> None:
        """See ``DiskLanes``."""
        self.lanes.settle()


class PacedReads:
    """Fits ``Reads``."""

    def __init__(self, reads: Reads, pace: Pace) -> None:
        self._reads = reads
        self._pace = pace

    @property
    def done_bytes(self) -> int:
        """See ``Reads``."""
        return self._reads.done_bytes

    def join(self) -> Lane:
        """See ``Reads``."""
        return PacedLane(self._reads.join(), self._pace)

    def fail(self, why: BaseException) -> None:
        """See ``Reads``."""
        self._reads.fail(why)


class PacedLane:
    """Fits ``Lane``: hands on a read when its bytes may pass."""

    def __init__(self, lane: Lane, pace: Pace) -> None:
        self._lane = lane
        self._pace = pace

    def take(self, in_flight_bytes: int) -> Read | None:
        """See ``Lane``."""
        read = self._lane.take(in_flight_bytes)
        left_bytes = read.extent.length if read is not None else 0
        while left_bytes:
            left_bytes -= self._pace.take(left_bytes)
        return read

    def done(self, read: Read, *, asked: float) -> None:
        """See ``Lane``."""
        self._lane.done(read, asked=asked)

    def leave(self) -> None:
        """See ``Lane``."""
        self._lane.leave()

    def end(self, why: BaseException | None = None, *, others: bool = True) -> None:
        """See ``Lane``."""
        self._lane.end(why, others=others)


class ThrottledSink:
    """Fits ``ByteSink``."""

    def __init__(self, stream: ByteSink, pace: Pace) -> None:
        self.stream = stream
        self._pace = pace

    @property
    def apart(self) -> bool:
        """As the source's."""
        return True

    def writev(self, buffers: Buffers) -> None:
        """See ``ByteSink``."""
        left = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        while left:
            passing = self._pace.take(sum(map(len, left)))
            self.stream.writev(list(_first(left, passing)))

    def close(self) -> None:
        """See ``ByteSink``; whoever waits for the pace finds the stream closed."""
        try:
            self.stream.close()
        finally:
            self._pace.stop()


def _first(buffers: list[memoryview], count_bytes: int) -> Iterator[memoryview]:
    """Take so many bytes away from the front of ``buffers``."""
    while count_bytes:
        view = buffers[0]
        if len(view) <= count_bytes:
            buffers.pop(0)
            count_bytes -= len(view)
            yield view
        else:
            buffers[0] = view[count_bytes:]
            yield view[:count_bytes]
            count_bytes = 0
