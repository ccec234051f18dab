"""The copy loop between streams in memory: what arrives, what is left out, and how it ends when something breaks."""

import asyncio
import random
import threading
from collections.abc import Sequence
from uuid import UUID

import pytest

from xo_warmig.disks.copy import BUDGET, CopyResult, copy_vhd
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.pipe import MOST_IN_ALL
from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.sparse import SparsePiece, sparse_reader
from xo_warmig.formats.vhd import BLOCK_BYTES, Parent, VhdWriter
from xo_warmig.model.units import KIB, MIB

SIZE = 16 * MIB
UNIQUE = UUID(int=7)
PARENT = Parent(unique_id=UUID(int=8), name="base", timestamp=0)


class MemorySource:
    """A stream that was recorded; ``hang`` makes it block at its end until it is closed."""

    def __init__(self, data: bytes, *, hang: bool = False) -> None:
        self._data, self._at = memoryview(data), 0
        self._closed = threading.Event()
        self._hang = hang

    def readinto(self, view: memoryview) -> int:
        part = self._data[self._at : self._at + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        if len(part) < len(view) and self._hang:
            self._closed.wait(10)
            raise TransferError("closed", evidence={"side": "source"})
        return len(part)

    def close(self) -> None:
        self._closed.set()


class MemorySink:
    """Keeps what it is sent; ``breaks_after`` bytes it fails."""

    def __init__(self, *, breaks_after: int | None = None) -> None:
        self.data = bytearray()
        self.closed = False
        self._breaks_after = breaks_after

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        for buffer in buffers:
            self.data += buffer
        if self._breaks_after is not None and len(self.data) > self._breaks_after:
            raise TransferError("the target hung up", evidence={"side": "target"})

    def close(self) -> None:
        self.closed = True

    def pieces(self) -> list[SparsePiece]:
        reader = sparse_reader(SIZE)
        pieces = reader.feed(bytes(self.data))
        assert reader.done
        assert reader.unused == b""
        return pieces

    def disk(self, content: bytes = bytes(SIZE)) -> bytes:
        """``content`` after the sent pieces were written over it."""
        disk = bytearray(content)
        for offset, data in self.pieces():
            disk[offset : offset + len(data)] = data
        return bytes(disk)


def content(blocks: Sequence[int], *, zero_from: int = BLOCK_BYTES) -> bytes:
    """A disk with random data in these blocks, zeros in each from ``zero_from`` on."""
    disk = bytearray(SIZE)
    for block in blocks:
        data = random.Random(block).randbytes(zero_from)
        disk[block * BLOCK_BYTES : block * BLOCK_BYTES + zero_from] = data
    return bytes(disk)


def vhd(disk: bytes, blocks: Sequence[int], *, parent: Parent | None = None) -> bytes:
    writer = VhdWriter(len(disk), blocks, unique_id=UNIQUE, parent=parent)
    return b"".join(writer.stream(lambda block: disk[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]))


async def run(
    source: MemorySource, sink: MemorySink, *, differencing: bool = False, skip_zeros: bool = True, size: int = SIZE
) -> tuple[CopyResult, Meter]:
    meter = Meter()
    result = await copy_vhd(
        source, sink, virtual_size_bytes=size, differencing=differencing, skip_zeros=skip_zeros, meter=meter
    )
    return result, meter


def budget_is_whole() -> bool:
    """Every buffer was given back."""
    taken = [BUDGET.take() for _ in range(MOST_IN_ALL)]
    for buffer in taken:
        BUDGET.give_back(buffer)
    return True


async def test_a_full_export_arrives_whole() -> None:
    """Blocks in any order of the file land where they belong, and the meter tells what was moved."""
    disk = content([0, 3, 7])
    sink = MemorySink()
    result, meter = await run(MemorySource(vhd(disk, [7, 0, 3])), sink)
    assert sink.disk() == disk
    assert result.read_bytes == result.written_bytes == 3 * BLOCK_BYTES == meter.total_bytes
    assert budget_is_whole()


async def test_zeros_are_left_out_of_a_full_pass() -> None:
    """Ranges of 64 KiB without data do not travel."""
    disk = content([1], zero_from=96 * KIB)
    sink = MemorySink()
    result, _ = await run(MemorySource(vhd(disk, [1, 5])), sink)
    assert sink.disk() == disk
    assert result.read_bytes == 2 * BLOCK_BYTES
    assert result.written_bytes == 128 * KIB


async def test_every_zero_of_a_delta_is_written() -> None:
    """A block that was zeroed since the base overwrites what the target has there (R20)."""
    sink = MemorySink()
    stream = vhd(bytes(SIZE), [2], parent=PARENT)
    await run(MemorySource(stream), sink, differencing=True, skip_zeros=False)
    assert sink.disk(b"\xff" * SIZE) == b"\xff" * (2 * BLOCK_BYTES) + bytes(BLOCK_BYTES) + b"\xff" * (5 * BLOCK_BYTES)


async def test_an_empty_export_sends_just_the_end() -> None:
    """Nothing but the end marker."""
    sink = MemorySink()
    await run(MemorySource(vhd(bytes(SIZE), [])), sink)
    assert bytes(sink.data) == bytes(12)


async def test_a_full_export_in_place_of_a_difference_is_refused() -> None:
    """It would leave zeroed blocks of the target as they are (R12, R20)."""
    with pytest.raises(TransferError) as refused:
        await run(MemorySource(vhd(content([0]), [0])), MemorySink(), differencing=True, skip_zeros=False)
    assert refused.value.code == "WRONG_EXPORT"
    assert budget_is_whole()


async def test_a_resized_disk_is_refused() -> None:
    """The stream's disk has another size than the plan's (R14)."""
    with pytest.raises(TransferError) as refused:
        await run(MemorySource(vhd(content([0]), [0])), MemorySink(), size=SIZE * 2)
    assert refused.value.code == "DISK_RESIZED"


@pytest.mark.parametrize("missing", [1, 512, 513, BLOCK_BYTES, 3 * BLOCK_BYTES])
async def test_a_stream_that_ends_early_never_ends_the_target_well(missing: int) -> None:
    """A cut, wherever it is, is a failure, and the end marker is not sent (R4)."""
    stream = vhd(content([0, 1, 2]), [0, 1, 2])
    sink = MemorySink()
    with pytest.raises(TransferError) as failed:
        await run(MemorySource(stream[:-missing]), sink)
    assert failed.value.evidence["side"] == "source"
    assert sink.closed
    assert not bytes(sink.data).endswith(bytes(12))
    assert budget_is_whole()


async def test_an_error_message_in_the_stream_is_no_footer() -> None:
    """A pool that fails after the last block writes a second HTTP message where the footer belongs."""
    stream = vhd(content([0]), [0])[:-512] + b"HTTP/1.1 500 Internal Error\r\n".ljust(512)
    with pytest.raises(FormatError):
        await run(MemorySource(stream), MemorySink())


async def test_a_target_that_breaks_is_the_failure_that_is_told() -> None:
    """That the reader then found its channel closed is not."""
    disk = content([0, 1, 2, 3, 4, 5])
    with pytest.raises(TransferError) as failed:
        await run(MemorySource(vhd(disk, range(6))), MemorySink(breaks_after=BLOCK_BYTES))
    assert failed.value.evidence["side"] == "target"
    assert budget_is_whole()


async def test_cancelling_closes_both_streams_and_ends_both_threads() -> None:
    """A copy that was cancelled leaves nothing running (R10)."""
    source, sink = MemorySource(vhd(content([0, 1]), [0, 1])[: 3 * MIB], hang=True), MemorySink()
    before = threading.active_count()
    task = asyncio.create_task(run(source, sink))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sink.closed
    assert threading.active_count() <= before + 1
    assert budget_is_whole()
