"""Reading a target back against the hashes of what was sent."""

import asyncio
import threading

import pytest
import xxhash

from tests.disks.memory import PARENT, SIZE, MemorySource, content, vhd
from xo_warmig.disks.read_back import Comparison, compare_vhd
from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.passes import SentPiece
from xo_warmig.model.units import KIB, MIB

DISK = content([0, 1, 3, 6])


def sent(disk: bytes, *places: tuple[int, int]) -> list[SentPiece]:
    return [
        SentPiece(start, length, xxhash.xxh3_64_intdigest(disk[start : start + length])) for start, length in places
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
