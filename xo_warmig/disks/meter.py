"""What a running copy tells of itself: counters that its threads write and anyone may read."""

import time


class Meter:
    """Counters of one disk's copy, however many times its ends were opened again.

    Each has one writing thread, so none needs a lock: ``written_bytes`` belongs to the writer, the others to the reader.
    ``total_bytes`` (None until the stream's table was read) is what is to be copied and ``done_bytes`` what was, each byte once;
    ``zero_bytes`` of it no stream brought. ``written_bytes`` were sent, counted as often as they were. Times are of the monotonic
    clock, in seconds.
    """

    __slots__ = (
        "_earlier_seconds",
        "done_bytes",
        "first_byte",
        "last_byte",
        "total_bytes",
        "written_bytes",
        "zero_bytes",
    )

    def __init__(self) -> None:
        self.written_bytes = 0
        self.reset()

    def reset(self) -> None:
        """As if nothing had been copied yet."""
        self.total_bytes: int | None = None
        self.done_bytes = self.zero_bytes = 0
        self.written_bytes = 0
        self.first_byte: float | None = None
        self.last_byte: float | None = None
        self._earlier_seconds = 0.0

    def again(self) -> None:
        """The ends are opened once more; the time between does not count."""
        self._earlier_seconds = self.transfer_seconds
        self.first_byte = self.last_byte = None

    def listed(self, total_bytes: int, done_bytes: int, zero_bytes: int) -> None:
        """The stream's table was read: this much is to be copied in all, and this much of it was before, so many zeros among it."""
        self.total_bytes, self.done_bytes, self.zero_bytes = total_bytes, done_bytes, zero_bytes

    def read(self, count_bytes: int) -> None:
        """The reader took ``count_bytes`` of disk content from its stream."""
        now = time.monotonic()
        if self.first_byte is None:
            self.first_byte = now
        self.last_byte = now
        self.done_bytes += count_bytes

    def made_up(self, count_bytes: int) -> None:
        """The reader passed on ``count_bytes`` of zeros that its stream has no bytes for."""
        self.read(count_bytes)
        self.zero_bytes += count_bytes

    def wrote(self, count_bytes: int) -> None:
        """The writer sent ``count_bytes`` of disk content."""
        self.written_bytes += count_bytes
        self.last_byte = time.monotonic()

    @property
    def read_bytes(self) -> int:
        """What a source's stream brought, each byte once."""
        return self.done_bytes - self.zero_bytes

    @property
    def transfer_seconds(self) -> float:
        """From the first byte read to the last byte sent so far, each time that the ends were open."""
        if self.first_byte is None or self.last_byte is None:
            return self._earlier_seconds
        return self._earlier_seconds + self.last_byte - self.first_byte
