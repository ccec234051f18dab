"""The sizes of the VHD format, and the limits that keep a reader's memory bounded whatever a file claims."""

from xo_warmig.model.units import GIB, KIB, MIB

SECTOR_BYTES = 512
FOOTER_BYTES = 512
HEADER_BYTES = 1024
BLOCK_BYTES = 2 * MIB  # what everyone writes; readers take others

MOST_SIZE_BYTES = 2040 * GIB  # the largest disk of a VHD (0xFF000000 sectors)
LEAST_BLOCK_BYTES = 4 * KIB
MOST_BLOCK_BYTES = 64 * MIB
MOST_ENTRIES = 2**20  # 2040 GiB in blocks of 2 MiB; 4 MiB of table
MOST_TABLE_OFFSET = 64 * MIB  # how far into a stream its header and its table may be
MOST_PADDING_BYTES = 16 * MIB  # between the last block and the trailing footer

UNALLOCATED = 0xFFFFFFFF


def round_up(count_bytes: int, multiple_bytes: int = SECTOR_BYTES) -> int:
    """The next multiple, as tables and bitmaps are padded."""
    return -(-count_bytes // multiple_bytes) * multiple_bytes


def bitmap_length(block_bytes: int) -> int:
    """The bytes of the sector bitmap before a block: one bit per sector, padded to sectors."""
    return round_up(-(-block_bytes // SECTOR_BYTES // 8))
