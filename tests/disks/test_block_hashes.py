"""Hashes of what is sent, block by block."""

import random
from array import array

import xxhash

from xo_warmig.disks.block_hashes import UNKNOWN, digest, entries_of, hashes_of
from xo_warmig.model.passes import HASHED_BYTES
from xo_warmig.model.units import KIB, MIB

DATA = random.Random(1).randbytes(256 * KIB)


def plain(start: int, end: int) -> int:
    return xxhash.xxh3_64_intdigest(DATA[start:end])


def test_each_block_has_the_plain_hash_of_its_bytes() -> None:
    """Wherever the piece begins."""
    whole = hashes_of(memoryview(DATA), 3 * MIB)
    assert list(whole) == [plain(n * HASHED_BYTES, (n + 1) * HASHED_BYTES) for n in range(4)]
    parts = hashes_of(memoryview(DATA)[: 100 * KIB], 3 * MIB + 60 * KIB)
    assert list(parts) == [plain(0, 4 * KIB), plain(4 * KIB, 68 * KIB), plain(68 * KIB, 100 * KIB)]


def test_a_piece_of_one_part_has_its_hash() -> None:
    """One of several has another for every change in any of them."""
    assert digest(hashes_of(memoryview(DATA)[:512], 0)) == plain(0, 512)
    changed = bytearray(DATA)
    changed[200_000] ^= 1
    assert digest(hashes_of(memoryview(DATA), 0)) != digest(hashes_of(memoryview(changed), 0))


def test_of_a_block_that_travels_in_part_nothing_is_known() -> None:
    """But the last one of a disk ends with it."""
    hashes = array("Q", [7, 8, 9])
    assert list(entries_of(hashes, 64 * KIB, 192 * KIB, MIB)) == [7, 8, 9]
    assert list(entries_of(hashes, 64 * KIB + 512, 192 * KIB - 512, MIB)) == [UNKNOWN, 8, 9]
    assert list(entries_of(hashes, 64 * KIB, 130 * KIB, MIB)) == [7, 8, UNKNOWN]
    assert list(entries_of(hashes, 64 * KIB, 130 * KIB, 194 * KIB)) == [7, 8, 9]


def test_a_hash_that_is_taken_for_a_mark_is_given_up() -> None:
    """It is never taken for a block that was not written."""
    assert list(entries_of(array("Q", [0, 1, 2]), 0, 192 * KIB, MIB)) == [UNKNOWN, UNKNOWN, 2]
