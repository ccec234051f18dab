"""Two pools in memory with one disk each, whose transfers break where they are told to, and a book that is looked into."""

import asyncio
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.disks.memory import PARENT, MemorySource, vhd
from xo_warmig.disks.blocks import missing_blocks
from xo_warmig.disks.meter import Meter
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.formats.sparse import parse_chunk_header
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.extents import Extent
from xo_warmig.model.images import VHD
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, Mark
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.disk_copy import DiskCopy
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ways import Ways

SIZE = 32 * MIB
# A sixteenth of what is real.
SMALL = CopyLimits(
    slice_bytes=12 * MIB, resend_bytes=4 * MIB, tail_bytes=10 * MIB, mark_seconds=0.002, most_read_back=100.0
)
BLOCKS = [0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15]


def source_disk() -> bytes:
    """Random data in ``BLOCKS``, with ranges of zeros here and there."""
    disk = bytearray(SIZE)
    for block in BLOCKS:
        length = 640 * KIB if block % 4 == 1 else BLOCK_BYTES
        disk[block * BLOCK_BYTES : block * BLOCK_BYTES + length] = random.Random(block).randbytes(length)
    return bytes(disk)


DISK = source_disk()
STREAM = vhd(DISK, BLOCKS)


class Break(NamedTuple):
    """A transfer on ``side`` that breaks after ``at`` bytes of its stream; the pool loses the last ``lost`` bytes that it got."""

    side: str
    at: int
    lost: int = 0


class Book:
    """Fits ``PassBook``."""

    def __init__(self) -> None:
        self.blocks: bytes | None = None
        self.marks: list[Mark] = []
        self.failure: Exception | None = None

    async def pending(self, disk: str, blocks: bytes) -> None:
        await asyncio.sleep(0.001)
        assert disk == "disk-0"
        self.blocks = blocks

    async def mark(self, disk: str, mark: Mark) -> None:
        if self.failure is not None:
            raise self.failure
        assert disk == "disk-0"
        self.marks.append(mark)

    @property
    def last(self) -> Mark | None:
        return self.marks[-1] if self.marks else None


class Clock:
    """Waits for nothing, and counts as if it had."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.passed = 0.0

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    async def sleep(self, seconds: float) -> None:
        if seconds != SMALL.mark_seconds:
            self.slept.append(seconds)
            self.passed += seconds
        await asyncio.sleep(min(seconds, 0.002))


class CutSource(MemorySource):
    """Ends with an error at a byte."""

    def __init__(self, data: bytes, at: int | None) -> None:
        super().__init__(data if at is None else data[:at], hang=False)
        self._cut = at is not None and at < len(data)

    def readinto(self, view: memoryview) -> int:
        count = super().readinto(view)
        if self._cut and count < len(view):
            raise TransferError("the source hung up", evidence={"side": "source"})
        return count


class DiskSink:
    """Writes what it is sent onto a disk, chunk by chunk as the pool does."""

    apart = False

    def __init__(self, pools: "MemoryPools", broken: Break | None) -> None:
        self.pools = pools
        self.ended = self.closed = False
        self._broken = broken
        self._took = 0
        self._undo: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        with self._lock:
            if self.closed:
                raise TransferError("closed", evidence={"side": "target"})
            for header, data in zip(buffers[::2], [*buffers[1::2], b""], strict=False):
                chunk = parse_chunk_header(header, SIZE)
                if chunk is None:
                    self.ended = True
                else:
                    self._write(chunk, data)

    def _write(self, chunk: Extent, data: bytes | bytearray | memoryview) -> None:
        pools = self.pools
        assert pools.book is None or pools.listed(chunk), "R18: written before it was listed"
        self._undo.append((chunk.offset, bytes(pools.disk[chunk.offset : chunk.end])))
        left = len(data) if self._broken is None else min(len(data), self._broken.at - self._took)
        pools.disk[chunk.offset : chunk.offset + left] = data[:left]
        self._took += left
        pools.took_bytes += left
        if left < len(data):
            self._lose()
            raise TransferError("the target hung up", evidence={"side": "target"})

    def _lose(self) -> None:
        assert self._broken is not None
        lost = self._broken.lost
        while lost > 0 and self._undo:
            offset, before = self._undo.pop()
            self.pools.disk[offset : offset + len(before)] = before
            lost -= len(before)

    def close(self) -> None:
        self.closed = True


class End:
    """One end of a transfer."""

    def __init__(self, pools: "MemoryPools", name: str, stream: Any) -> None:
        self.pools, self.name, self.stream = pools, name, stream
        self.open = True
        pools.ends.append(self)

    async def finish(self) -> None:
        await asyncio.sleep(0)
        if isinstance(self.stream, DiskSink):
            failure = self.pools.fail_finish.pop(0) if self.pools.fail_finish else None
            if failure is not None:
                raise failure
            assert self.stream.ended
        self.open = False

    async def abort(self) -> None:
        self.stream.close()
        await asyncio.sleep(0)
        self.open = False


class MemoryPools:
    """Both pools. ``breaks`` strike the transfers of their side in order, ``None`` for one that goes well."""

    def __init__(
        self, breaks: Sequence[Break | None] = (), *, stream: bytes = STREAM, disk: bytes = bytes(SIZE)
    ) -> None:
        self.stream = stream
        self.disk = bytearray(disk)
        self.book: Book | None = Book()
        self.clock = Clock()
        self.ends: list[End] = []
        self.took_bytes = 0
        self.opened: list[str] = []
        self.fail_finish: list[WarmigError | None] = []
        self.fail_open: dict[str, list[WarmigError]] = {}
        self.keeps_as = VHD
        self._breaks = {
            side: [b for b in breaks if b is not None and b.side == side] for side in ("source", "target", "back")
        }

    def listed(self, chunk: Extent) -> bool:
        """Whether the book has a chunk's block."""
        block = chunk.offset // BLOCK_BYTES
        wanted = bytearray(block // 8 + 1)
        wanted[-1] |= 0x80 >> block % 8
        assert self.book is not None
        return self.book.blocks is not None and missing_blocks(bytes(wanted), self.book.blocks) == 0

    async def open_export(self, vdi: str, *, base: str | None) -> End:
        """Of the source's snapshot, or of the target's disk."""
        side = "back" if vdi == "copy-0" else "source"
        self._open(side)
        assert not any(end.open and end.name in (side, "target" if side == "back" else side) for end in self.ends)
        broken = self._next(side)
        data = vhd(bytes(self.disk), self._stored()) if side == "back" else self.stream
        return End(self, side, CutSource(data, None if broken is None else broken.at))

    async def image_format(self, vdi: str) -> str:
        return self.keeps_as

    async def open_import(self, vdi: str) -> End:
        self._open("target")
        assert vdi == "copy-0"
        assert not any(end.open and end.name in ("target", "back") for end in self.ends)
        return End(self, "target", DiskSink(self, self._next("target")))

    def _stored(self) -> list[int]:
        nothing = bytes(BLOCK_BYTES)
        return [n for n in range(SIZE // BLOCK_BYTES) if self.disk[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] != nothing]

    def _open(self, side: str) -> None:
        self.opened.append(side)
        if self.fail_open.get(side):
            raise self.fail_open[side].pop(0)

    def _next(self, side: str) -> Break | None:
        return self._breaks[side].pop(0) if self._breaks[side] else None

    def copying(self, **changes: Any) -> DiskCopy:
        """A copy between the two."""
        skip_zeros = changes.pop("skip_zeros", True)
        plan = DiskPassPlan(
            disk="disk-0",
            read_vdi="snap-0",
            base=changes.pop("base", None),
            target_vdi="copy-0",
            virtual_size_bytes=SIZE,
            skip_zeros=skip_zeros,
            zero_unallocated=changes.pop("zero_unallocated", False),
        )
        pools: Any = self
        fields: dict[str, Any] = {"number": 1, "meter": Meter(), "book": self.book, "limits": SMALL} | changes
        return DiskCopy(plan, Ways(pools, pools, self.clock), **fields)

    async def copy(self, **changes: Any) -> DiskPassReport:
        """Run it, and see that nothing is left open."""
        report = await self.copying(**changes).run()
        assert not any(end.open for end in self.ends)
        return report


DELTA = vhd(DISK, [2, 5, 9], parent=PARENT)
