"""Lists of blocks as bitmaps: which 2 MiB blocks of a disk a pass writes. The first block is the highest bit of the first byte."""

from xo_warmig.formats.bitmaps import Run, with_bits_set
from xo_warmig.formats.vhd import BLOCK_BYTES, VhdLayout


def whole_disk(size_bytes: int) -> bytes:
    """Every block of a disk."""
    count = -(-size_bytes // BLOCK_BYTES)
    return with_bits_set(-(-count // 8), [Run(0, count)])


def blocks_of(layout: VhdLayout) -> bytes:
    """The blocks of which a stream brings anything."""
    bitmap = bytearray(-(-layout.size_bytes // BLOCK_BYTES // 8))
    each = layout.block_bytes
    if each == BLOCK_BYTES:
        for index in layout.indexes:
            bitmap[index >> 3] |= 0x80 >> (index & 7)
        return bytes(bitmap)
    for index in layout.indexes:
        last = min((index + 1) * each, layout.size_bytes) - 1
        for block in range(index * each // BLOCK_BYTES, last // BLOCK_BYTES + 1):
            bitmap[block >> 3] |= 0x80 >> (block & 7)
    return bytes(bitmap)


def missing_blocks(wanted: bytes, there: bytes) -> int:
    """How many blocks are in ``wanted`` and not in ``there``."""
    one, other, _ = _aligned(wanted, there)
    return (one & ~other).bit_count()


def without(blocks: bytes, others: bytes) -> bytes:
    """Those that are not among the others."""
    one, other, length = _aligned(blocks, others)
    return (one & ~other).to_bytes(length, "big")


def in_both(blocks: bytes, others: bytes) -> bytes:
    """Those that are in both lists."""
    one, other, length = _aligned(blocks, others)
    return (one & other).to_bytes(length, "big")


def _aligned(one: bytes, other: bytes) -> tuple[int, int, int]:
    """Two lists as numbers of as many bytes."""
    length = max(len(one), len(other))
    return int.from_bytes(one.ljust(length, b"\0"), "big"), int.from_bytes(other.ljust(length, b"\0"), "big"), length


def count_between(blocks: bytes, start_offset: int, end_offset: int) -> int:
    """How many of the listed blocks have a byte between two offsets of the disk."""
    first, end = start_offset // BLOCK_BYTES, -(-end_offset // BLOCK_BYTES)
    from_first = int.from_bytes(blocks, "big") & ((1 << max(0, len(blocks) * 8 - first)) - 1)
    return (from_first >> max(0, len(blocks) * 8 - end)).bit_count()
