"""The sector bitmap before each block of a VHD: which of the block's 512-byte sectors this file holds."""

from collections.abc import Iterable
from functools import lru_cache

from xo_warmig.formats.bitmaps import Run, set_runs, with_bits_set
from xo_warmig.formats.vhd.limits import BLOCK_BYTES, SECTOR_BYTES, bitmap_length
from xo_warmig.model.extents import Extent

BITMAP_FULL = b"\xff" * bitmap_length(BLOCK_BYTES)
"""The bitmap of a whole block of 2 MiB; XAPI exports no others."""

_BYTES_PER_BYTE = 8 * SECTOR_BYTES  # of the block, for one of its bitmap


def sector_extents(
    bitmap: bytes | bytearray | memoryview, block_offset: int, length_bytes: int = BLOCK_BYTES
) -> list[Extent]:
    """The parts of the disk that a block holds, by its bitmap.

    Args:
        bitmap: as many bytes as the block's bitmap has, or more.
        block_offset: where on the disk the block begins.
        length_bytes: how much of the block is on the disk: less than a block for the last one of some disks.
    """
    if length_bytes % _BYTES_PER_BYTE == 0:
        whole = _ones(length_bytes // _BYTES_PER_BYTE)
        if bytes(bitmap[: len(whole)]) == whole:
            return [Extent(block_offset, length_bytes)]
    extents = []
    for first, length in set_runs(bitmap):
        start = first * SECTOR_BYTES
        end = min(start + length * SECTOR_BYTES, length_bytes)
        if start < end:
            extents.append(Extent(block_offset + start, end - start))
    return extents


def sector_bitmap(extents: Iterable[Extent], block_offset: int, block_bytes: int = BLOCK_BYTES) -> bytes:
    """The bitmap of a block that holds these parts of the disk, given in whole sectors within the block."""
    runs = (Run((e.offset - block_offset) // SECTOR_BYTES, e.length // SECTOR_BYTES) for e in extents)
    return with_bits_set(bitmap_length(block_bytes), runs)


@lru_cache(maxsize=16)
def _ones(length_bytes: int) -> bytes:
    return b"\xff" * length_bytes
