"""Reading a target back against the hashes of what was sent."""

import asyncio
import threading

import pytest

from tests.disks.memory import PARENT, SIZE, MemorySource, content, vhd
from xo_warmig.disks.block_hashes import digest, entries_of, hashes_of
from xo_warmig.disks.block_table import TablePieces
from xo_warmig.disks.read_back import Checked, Comparison, check_vhd, compare_vhd
from xo_warmig.engine.hashes.memory import MemoryTable
from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.passes import HASHED_BYTES, SentPiece
from xo_warmig.model.units import KIB, MIB

DISK = content([0, 1, 3, 6])


def sent(disk: bytes, *places: tuple[int, int]) -> list[SentPiece]:
    return [
        SentPiece(start, length, digest(hashes_of(memoryview(disk)[start : start + length], start)))
        for start, length in places
    ]


async def compare(stream: bytes, pieces: list[SentPiece], most_bytes: int = SIZE) -> Comparison:
    return await compare_vhd(MemorySource(stream), pieces, virtual_size_bytes=SIZE, most_bytes=most_bytes)


PIECES = [(2 * MIB, 64 * KIB), (3 * MIB, 512 * KIB), (6 * MIB, 2 * MIB)]


async def test_equal() -> None:
    """Several pieces of a block, and blocks that nobody asks for between."""
    assert await compare(vhd(DISK, [0, 1, 3, 6]), sent(DISK, *PIECES)) is Comparison.EQUAL


@pytest.mark.parametrize("at", [2 * MIB, 2 * MIB + 64 * KIB - 1, 3 * MIB + 5, 8 * MIB - 1])
async def test_one_byte_is_a_difference(at: int) -> None:
    """Anywhere in a piece."""
    held = bytearray(DISK)
    held[at] ^= 1
    assert await compare(vhd(bytes(held), [0, 1, 3, 6]), sent(DISK, *PIECES)) is Comparison.DIFFERENT


async def test_a_block_that_the_target_lacks_reads_as_zeros() -> None:
    """So it is equal only to zeros."""
    assert await compare(vhd(DISK, [0, 1, 6]), sent(DISK, *PIECES)) is Comparison.DIFFERENT
    zeros = sent(DISK, (2 * MIB, 64 * KIB), (4 * MIB, 2 * MIB), (14 * MIB, MIB))
    assert await compare(vhd(DISK, [0, 1, 3, 6]), zeros) is Comparison.EQUAL


async def test_it_reads_no_more_than_it_may_and_needs() -> None:
    """Too far is told before anything is read; what lies behind the last piece is not waited for."""
    stream = vhd(DISK, [0, 1, 3, 6])
    assert await compare(stream, sent(DISK, *PIECES), 3 * BLOCK_BYTES - 1) is Comparison.TOO_MUCH
    assert await compare(stream[: -3 * MIB], sent(DISK, *PIECES[:2]), 2 * BLOCK_BYTES) is Comparison.EQUAL


async def test_what_cannot_be_read_is_an_error() -> None:
    """A cut stream, a difference, another disk."""
    with pytest.raises(TransferError):
        await compare(vhd(DISK, [0, 1, 3, 6])[: 4 * MIB], sent(DISK, *PIECES))
    with pytest.raises(FormatError):
        await compare(vhd(DISK, [1], parent=PARENT), sent(DISK, *PIECES))
    with pytest.raises(FormatError):
        await compare(vhd(DISK[: 8 * MIB], [1]), sent(DISK, *PIECES))


async def test_cancelling_closes_the_stream_and_ends_the_thread() -> None:
    """R10."""
    source = MemorySource(vhd(DISK, [0, 1, 3, 6])[: 3 * MIB], hang=True)
    before = threading.active_count()
    task = asyncio.create_task(compare_vhd(source, sent(DISK, *PIECES), virtual_size_bytes=SIZE, most_bytes=SIZE))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if threading.active_count() <= before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the thread still runs")


def table_of(disk: bytes, *places: tuple[int, int]) -> MemoryTable:
    """As a copy of these places leaves it."""
    table = MemoryTable(len(disk))
    for start, length in places:
        hashes = hashes_of(memoryview(disk)[start : start + length], start)
        table.put(start // HASHED_BYTES, entries_of(hashes, start, length, len(disk)))
    return table


async def check(stream: bytes, table: MemoryTable, head_bytes: int | None = None) -> Checked:
    return await check_vhd(MemorySource(stream), TablePieces(table), virtual_size_bytes=SIZE, head_bytes=head_bytes)


async def test_a_table_is_compared_block_by_block() -> None:
    """Of what travelled in part nothing is compared; the first difference is told with both hashes."""
    table = table_of(DISK, *PIECES, (12 * MIB + 512, MIB))
    assert await check(vhd(DISK, [0, 1, 3, 6]), table) == Checked(1 + 8 + 32 + 15, 7 * BLOCK_BYTES - 3 * BLOCK_BYTES)
    held = bytearray(DISK)
    held[7 * MIB + 70_000] ^= 1
    found = (await check(vhd(bytes(held), [0, 1, 3, 6]), table)).difference
    assert found is not None
    at = 7 * MIB + 64 * KIB
    assert (found.offset, found.length) == (at, 64 * KIB)
    assert [found.expected, found.found] == [hashes_of(memoryview(d)[at : at + 64 * KIB], at)[0] for d in (DISK, held)]


async def test_the_head_of_an_export_is_a_sample() -> None:
    """What lies behind it is not read; what is not stored at all is seen without."""
    table = table_of(DISK, *PIECES)
    stream = vhd(DISK, [0, 1, 3, 6])
    assert await check(stream[: -4 * MIB - 512], table, 2 * BLOCK_BYTES) == Checked(9, 2 * BLOCK_BYTES)
    lacking = await check(vhd(DISK, [0, 1]), table, 2 * BLOCK_BYTES)
    assert lacking.difference is not None
    assert lacking.difference.offset == 6 * MIB
