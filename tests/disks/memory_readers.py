"""Connections to a disk in memory."""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from xo_warmig.disks.loads import Extents
from xo_warmig.disks.reads import Read, ReadSource
from xo_warmig.errors import TransferError
from xo_warmig.model.extents import Extent


class MemoryReader:
    """Fits ``DiskReader``: answers in any order, some reads a moment later than others.

    ``breaks_at``: the read of that byte fails. ``hangs_at``: it never ends, unless the connection is closed.
    """

    def __init__(
        self,
        disk: bytes,
        *,
        seed: int = 0,
        breaks_at: int | None = None,
        hangs_at: int | None = None,
        slow: float = 0.0,
    ) -> None:
        self.size_bytes = len(disk)
        self.extents: list[Extent] = []
        self.closed = threading.Event()
        self.hangs = threading.Event()
        self.most_open = 0
        self._disk = disk
        self._random = random.Random(seed)
        self._breaks_at, self._hangs_at = breaks_at, hangs_at
        self._slow = slow

    def serve(self, reads: ReadSource) -> None:
        open_reads: deque[Read] = deque()
        while True:
            while (read := reads.take(sum(each.extent.length for each in open_reads))) is not None:
                open_reads.append(read)
            self.most_open = max(self.most_open, len(open_reads))
            if not open_reads:
                return
            open_reads.rotate(self._random.randrange(len(open_reads)))
            self.answer(open_reads[0])
            reads.done(open_reads.popleft(), asked=time.monotonic())

    def close(self) -> None:
        self.closed.set()

    def answer(self, read: Read) -> None:
        """Fill its view, or raise."""
        extent = read.extent
        self.extents.append(extent)
        if self._random.random() < self._slow:
            time.sleep(0.001)
        if self._breaks_at is not None and extent.offset <= self._breaks_at < extent.end:
            raise TransferError("the disk is broken", code="NBD_READ_FAILED")
        if self._hangs_at is not None and extent.offset <= self._hangs_at < extent.end:
            self.hangs.set()
            self.closed.wait(20)
        if self.closed.is_set():
            raise TransferError("the transfer was stopped", code="TRANSFER_STOPPED")
        read.view[:] = self._disk[extent.offset : extent.end]


def readers(disk: bytes, count: int, *, slow: float = 0.0) -> list[MemoryReader]:
    return [MemoryReader(disk, seed=seed, slow=slow) for seed in range(count)]


def always(extents: Sequence[Extent]) -> Extents:
    """The same list each time."""

    def listed() -> Sequence[Extent]:
        return extents

    return listed
