"""L1 and L2 tables as bits: arithmetic on whole tables at a time, as a full disk of 6 TiB has a hundred million entries.

An entry is 64 bits, big-endian. Bits 9 to 55: where in the file the table or the cluster is, 0 for nowhere. Bit 63: its refcount is 1.
Of an L2 entry, bit 62: the cluster is compressed, which no export has; bit 0: it reads as zeros, wherever it may be. The rest is 0.
"""

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from xo_warmig.formats.qcow2.limits import ENTRY_BYTES
from xo_warmig.formats.qcow2.refusal import refused

_OFFSET_MASK = (1 << 56) - (1 << 9)
_TO_BIT = bytes([ord("0")]) + bytes([ord("1")]) * 255  # a byte to the digit that says whether any of its bits is set
_LOW_BIT_TO_BIT = bytes(ord("0") + (value & 1) for value in range(256))
_COPIED = b"\x00\x80"


class TablePlace(NamedTuple):
    """An L2 table at ``offset`` of the file, which says of the clusters from ``tables_before`` tables on."""

    offset: int
    tables_before: int


def l1_places(table: bytes, cluster_bytes: int) -> Iterator[TablePlace]:
    """The L2 tables that there are. Raises FormatError for entries that mean nothing."""
    entries = array("Q", table)
    if sys.byteorder == "little":
        entries.byteswap()
    for index, entry in enumerate(entries):
        if not entry:
            continue
        offset = entry & _OFFSET_MASK
        if entry & ~(_OFFSET_MASK | 1 << 63) or not offset or offset % cluster_bytes:
            raise refused("an L1 entry that means nothing", index=index, entry=entry)
        yield TablePlace(offset, index)


def stored_bits(table: bytes, cluster_bytes: int) -> bytes:
    """A bit for each cluster of an L2 table, the first the highest of the first byte: whether the file has bytes for it.

    Clusters that are marked as zeros have none. Raises FormatError for entries that mean nothing.
    """
    count = len(table) // ENTRY_BYTES
    if not table.strip(b"\0"):
        return bytes(count // 8)
    columns = [table[column::ENTRY_BYTES] for column in range(ENTRY_BYTES)]
    _check(columns, cluster_bytes)
    placed = 0
    for column in columns[1:7]:
        placed |= _digits(column, _TO_BIT)
    zeros = _digits(columns[7], _LOW_BIT_TO_BIT)
    if _digits(columns[0], _TO_BIT) & ~(placed | zeros):
        raise refused("a cluster that is in use and nowhere", entries=count)
    return (placed & ~zeros).to_bytes(count // 8, "big")


def _digits(column: bytes, meaning: bytes) -> int:
    """One bit for each byte. Reading a number to base 2 takes time in proportion to its length, so the detour is the fast way."""
    return int(column.translate(meaning), 2)


def _check(columns: list[bytes], cluster_bytes: int) -> None:
    """Only what may be set is: bits of offsets that are multiples of a cluster, and the two flags."""
    allowed = [_COPIED, *(_multiples(cluster_bytes, shift) for shift in range(48, -8, -8))]
    allowed[7] = b"\x00\x01"
    for place, (column, values) in enumerate(zip(columns, allowed, strict=True)):
        if strange := column.translate(None, values):
            raise refused("an L2 entry of a kind that no export has", byte=strange[0], place=place)


def _multiples(cluster_bytes: int, shift: int) -> bytes:
    """The values that the byte of an offset ``shift`` bits from its end may have."""
    mask = (cluster_bytes - 1) >> shift & 0xFF
    return bytes(value for value in range(256) if not value & mask)
