"""What a running copy tells of itself: counters that its threads write and anyone may read."""

import time


class Meter:
    """Counters of one disk's copy.

    Each has one writing thread, so none needs a lock: ``total_bytes`` (None until the stream's table was read) and ``done_bytes``
    belong to the reader, ``written_bytes`` to the writer. Times are of the monotonic clock, in seconds.
    """

    __slots__ = ("done_bytes", "first_byte", "last_byte", "total_bytes", "written_bytes")

    def __init__(self) -> None:
        self.total_bytes: int | None = None
        self.done_bytes = 0
        self.written_bytes = 0
        self.first_byte: float | None = None
        self.last_byte: float | None = None

    def read(self, count_bytes: int) -> None:
        """The reader took ``count_bytes`` of disk content from its stream."""
        now = time.monotonic()
        if self.first_byte is None:
            self.first_byte = now
        self.last_byte = now
        self.done_bytes += count_bytes

    def wrote(self, count_bytes: int) -> None:
        """The writer sent ``count_bytes`` of disk content."""
        self.written_bytes += count_bytes
        self.last_byte = time.monotonic()

    @property
    def transfer_seconds(self) -> float:
        """From the first byte read to the last byte sent so far."""
        if self.first_byte is None or self.last_byte is None:
            return 0.0
        return self.last_byte - self.first_byte
