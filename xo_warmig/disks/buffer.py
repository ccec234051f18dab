"""Memory that data travels through, placed where the kernel copies into it and out of it at full speed.

A copy whose two sides lie at almost the same place of their pages is half as fast on some processors: each read seems to depend on a
write just before it (4 KiB aliasing). What a pool sends of a disk begins at the start of a page, or a header behind it, and so would a
``bytearray`` of this size. Half a page away from both is far from either.
"""

import ctypes

PAGE_BYTES = 4096
_PLACE = PAGE_BYTES // 2


def new_buffer(count_bytes: int) -> bytearray:
    """So many zeros, of two pages or more, half a page behind the start of one. Where they cannot be placed so, all is only slower."""
    buffer = bytearray(count_bytes + PAGE_BYTES)
    del buffer[: (_PLACE - place_of(buffer)) % PAGE_BYTES]  # moves no byte: CPython then begins it further on
    del buffer[count_bytes:]
    return buffer


def place_of(buffer: bytearray) -> int:
    """The byte of a page at which it begins in memory now."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % PAGE_BYTES
