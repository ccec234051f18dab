"""Streams that are held to a pace, as stages before those of the pools: the waiting is in the thread that reads or writes."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.disks.pace import Pace, Share
from xo_warmig.disks.reads import DiskReader, Read, ReadSource
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

    def readers(self, streams: Sequence[DiskReader]) -> Sequence[DiskReader]:
        """The source's, where it is read over several connections."""
        if not self._reading or not streams:
            return streams
        pace = self._pace(self._reading, self._reads)
        return [ThrottledReader(stream, pace) for stream in streams]

    def sink(self, stream: ByteSink) -> ByteSink:
        """The target's."""
        return ThrottledSink(stream, self._pace(self._writing, self._writes)) if self._writing else stream

    def back(self, stream: ByteSource) -> ByteSource:
        """The target's, when it is read back."""
        return ThrottledSource(stream, Pace(self._writing)) if self._writing else stream

    def back_readers(self, streams: Sequence[DiskReader]) -> Sequence[DiskReader]:
        """The same, over several connections."""
        pace = Pace(self._writing)
        return [ThrottledReader(stream, pace) for stream in streams] if self._writing else streams

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


class ThrottledReader:
    """Fits ``DiskReader``. All connections to a disk share one pace: what they read together is held to it."""

    def __init__(self, stream: DiskReader, pace: Pace) -> None:
        self.stream = stream
        self._pace = pace

    @property
    def size_bytes(self) -> int:
        """See ``DiskReader``."""
        return self.stream.size_bytes

    def serve(self, reads: ReadSource) -> None:
        """See ``DiskReader``."""
        self.stream.serve(PacedReads(reads, self._pace))

    def close(self) -> None:
        """See ``DiskReader``. When one connection has nothing more to read, so have the others, but for what is in flight."""
        try:
            self.stream.close()
        finally:
            self._pace.stop()


class PacedReads:
    """Fits ``ReadSource``: hands on a read when its bytes may pass."""

    def __init__(self, reads: ReadSource, pace: Pace) -> None:
        self._reads = reads
        self._pace = pace

    def take(self, in_flight_bytes: int) -> Read | None:
        """See ``ReadQueue``."""
        read = self._reads.take(in_flight_bytes)
        left_bytes = read.extent.length if read is not None else 0
        while left_bytes:
            left_bytes -= self._pace.take(left_bytes)
        return read

    def done(self, read: Read, *, asked: float) -> None:
        """See ``ReadQueue``."""
        self._reads.done(read, asked=asked)


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
