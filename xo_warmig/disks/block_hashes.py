"""Hashes of what is sent, by 64 KiB blocks of the disk: made once, for the comparison after a break and for the read-back. Pure."""

from array import array

import xxhash

from xo_warmig.model.passes import HASHED_BYTES

# What a table has for a block in place of a hash: nothing was written to it; or something, and no hash of the whole block is known.
NOT_WRITTEN = 0
UNKNOWN = 1


def hashes_of(view: memoryview, offset: int) -> "array[int]":
    """The xxh3-64 of each part of ``view`` that lies in one block, where the disk has it from byte ``offset`` on."""
    first = HASHED_BYTES - offset % HASHED_BYTES
    starts = [0, *range(first, len(view), HASHED_BYTES)]
    ends = [*starts[1:], len(view)]
    return array("Q", [xxhash.xxh3_64_intdigest(view[start:end]) for start, end in zip(starts, ends, strict=True)])


def digest(hashes: "array[int]") -> int:
    """One hash for all of a piece: that of its only part, or that of its parts' hashes."""
    return hashes[0] if len(hashes) == 1 else xxhash.xxh3_64_intdigest(hashes)


def entries_of(hashes: "array[int]", offset: int, length: int, size_bytes: int) -> "array[int]":
    """What a table has for the blocks that a piece touches, from the one with byte ``offset`` on.

    A block of which the piece has a part only is unknown; the last block of a disk ends with it. A hash that is taken for a mark is
    given up: one in 2**63 blocks is not compared.
    """
    entries = array("Q", [max(each, UNKNOWN) for each in hashes]) if min(hashes) <= UNKNOWN else hashes[:]
    if offset % HASHED_BYTES:
        entries[0] = UNKNOWN
    if (offset + length) % HASHED_BYTES and offset + length != size_bytes:
        entries[-1] = UNKNOWN
    return entries
