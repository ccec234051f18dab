"""Blocks of a target read back over its connections."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tests.disks.memory import SIZE, admitted, budget_is_whole, content
from tests.disks.memory_readers import MemoryReader, readers
from tests.disks.test_read_back import table_of
from xo_warmig.disks.block_check import check_blocks
from xo_warmig.disks.block_hashes import hashes_of
from xo_warmig.disks.block_table import extents_of, known_extents
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.read_back import Checked, Difference
from xo_warmig.errors import TransferError
from xo_warmig.model.units import KIB, MIB

DISK = content([0, 1, 3, 6])
TABLE = table_of(DISK, (0, 4 * MIB), (6 * MIB, 2 * MIB), (13 * MIB, 64 * KIB), (SIZE - 64 * KIB, 64 * KIB))


async def checked(disk: Sequence[MemoryReader], extents: Extents) -> Checked:
    with admitted() as admission:
        return await check_blocks(Lanes(disk), extents, TABLE, admission=admission)


async def test_all_that_is_known_is_read_and_no_more() -> None:
    """Over several connections."""
    several = readers(DISK, 3, slow=0.2)
    assert await checked(several, lambda: known_extents(TABLE)) == Checked(98, 98 * 64 * KIB)
    assert sum(extent.length for reader in several for extent in reader.extents) == 98 * 64 * KIB
    assert all(reader.closed.is_set() for reader in several)
    assert budget_is_whole()


async def test_a_sample_is_read() -> None:
    """Single blocks, scattered."""
    extents = extents_of([0, 33, 208], SIZE)
    (reader,) = readers(DISK, 1)
    assert await checked([reader], lambda: extents) == Checked(3, 192 * KIB)


@pytest.mark.parametrize("at", [0, 3 * MIB + 70_000, SIZE - 1])
async def test_one_byte_is_a_difference(at: int) -> None:
    """With its block, and both hashes; nothing is read any more."""
    held = bytearray(DISK)
    held[at] ^= 1
    found_out = await checked(readers(bytes(held), 2), lambda: known_extents(TABLE))
    block = at - at % (64 * KIB)
    expected, found = (hashes_of(memoryview(disk)[block : block + 64 * KIB], block)[0] for disk in (DISK, held))
    assert found_out.difference == Difference(block, 64 * KIB, expected, found)
    assert budget_is_whole()


async def test_a_broken_connection_is_an_error() -> None:
    """Its own, not that the other thread was left alone."""
    with pytest.raises(TransferError, match="the disk is broken"):
        await checked([MemoryReader(DISK, breaks_at=7 * MIB)], lambda: known_extents(TABLE))
    assert budget_is_whole()


async def test_cancelling_closes_the_connections_and_ends_the_threads() -> None:
    """R10."""
    reader = MemoryReader(DISK, hangs_at=3 * MIB)
    before = threading.active_count()
    task = asyncio.create_task(checked([reader], lambda: known_extents(TABLE)))
    await asyncio.to_thread(reader.hangs.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.closed.is_set()
    async with asyncio.timeout(10):
        while threading.active_count() > before + 1:  # that of to_thread stays
            await asyncio.sleep(0.01)
    assert budget_is_whole()
