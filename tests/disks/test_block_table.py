"""What is read back by a table: all that it knows, or a sample."""

from array import array

import pytest

from xo_warmig.disks.block_hashes import UNKNOWN
from xo_warmig.disks.block_sample import LEAST_SAMPLE, MOST_SAMPLE, sample_of
from xo_warmig.disks.block_table import TablePieces, Written, extents_of, known_extents, written
from xo_warmig.engine.hashes.memory import MemoryTable
from xo_warmig.model.extents import Extent
from xo_warmig.model.passes import HASHED_BYTES, SentPiece
from xo_warmig.model.units import GIB, KIB, MIB


def table_of(entries: dict[int, int], size_bytes: int = 4 * GIB) -> MemoryTable:
    table = MemoryTable(size_bytes)
    for block, entry in entries.items():
        table.put(block, array("Q", [entry]))
    return table


def test_whole_blocks_are_known() -> None:
    """Neighbours are one extent, also over the boundary of what is looked at together; the disk's end cuts the last."""
    table = table_of({0: 7, 1: UNKNOWN, 8190: 5, 8191: 6, 8192: 7, 9000: 8}, 9000 * HASHED_BYTES + 512)
    assert written(table) == Written(5, 1)
    assert list(known_extents(table)) == [
        Extent(0, 64 * KIB), Extent(8190 * HASHED_BYTES, 3 * HASHED_BYTES), Extent(9000 * HASHED_BYTES, 512)
    ]  # fmt: skip


def test_pieces_of_a_block() -> None:
    """Each with the hash that the table has."""
    pieces = TablePieces(table_of({32: 7, 34: UNKNOWN, 63: 9}))
    assert list(pieces.of(1)) == [SentPiece(2 * MIB, 64 * KIB, 7), SentPiece(4 * MIB - 64 * KIB, 64 * KIB, 9)]
    assert list(pieces.of(0)) == []
    assert pieces.blocks()[0] == 0x40
    assert not any(pieces.blocks()[1:])


@pytest.mark.parametrize(
    ("known", "least"), [(0, 0), (1, 1), (5, 5), (100, LEAST_SAMPLE), (3000, 30), (65536, MOST_SAMPLE)]
)
def test_the_size_of_a_sample(known: int, least: int) -> None:
    """With the first and the last, and one of each part; the same again for the same seed, another for another."""
    table = MemoryTable(4 * GIB)
    table.put(0, array("Q", range(2, known + 2)))
    sample = sample_of(table, known, "m/1")
    assert sample == sorted(set(sample))
    assert len(sample) == least
    if known:
        assert (sample[0], sample[-1]) == (0, known - 1)
    assert sample_of(table, known, "m/1") == sample
    assert known < 100 or sample_of(table, known, "m/2") != sample


def test_a_sample_has_known_blocks_only() -> None:
    """Scattered over the disk."""
    entries = {n * 397: UNKNOWN if n % 3 == 0 else n + 2 for n in range(160)}
    sample = sample_of(table_of(entries), 106, "m/1")
    assert all(entries[block] > UNKNOWN for block in sample)
    assert (sample[0], sample[-1]) == (397, 158 * 397)
    assert extents_of(sample[:1], 4 * GIB) == [Extent(397 * HASHED_BYTES, HASHED_BYTES)]
