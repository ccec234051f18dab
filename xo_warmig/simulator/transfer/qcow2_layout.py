"""The head of an exported qcow2 file as xapi's python3/libexec/qcow2-to-stdout.py writes it: everything but the clusters.

Written here for the simulator alone, from QEMU's docs/interop/qcow2.txt and that tool, so that what reads qcow2 elsewhere in this
project is tested against something else than itself. The order is the tool's: header, refcount table, refcount blocks, L1 table, L2
tables, clusters; every one of them is as long as a cluster, or several.
"""

import struct
from collections.abc import Sequence

CLUSTER = 64 * 1024
_ENTRIES = CLUSTER // 8  # of a table
_REFCOUNTS = CLUSTER // 2  # of 16 bits each
_IN_USE = 1 << 63
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_HEADER_BYTES = 112
_FEATURES = 0x6803F857  # the extension with the features' names; readers pass over it


def head(size_bytes: int, clusters: Sequence[int]) -> bytes:
    """For a disk of that size, of which just these clusters follow, ascending."""
    tables = -(-size_bytes // (CLUSTER * _ENTRIES))
    used = sorted({cluster // _ENTRIES for cluster in clusters})
    l1_clusters = -(-tables // _ENTRIES)
    refcount_tables, refcount_blocks = _refcounts(1 + l1_clusters + len(used) + len(clusters))
    l1_at = 1 + refcount_tables + refcount_blocks
    l2_at = l1_at + l1_clusters
    data_at = l2_at + len(used)
    counted = data_at + len(clusters)
    parts = [
        _header(size_bytes, tables, l1_at * CLUSTER, refcount_tables),
        _table([(1 + refcount_tables + n) * CLUSTER for n in range(refcount_blocks)], refcount_tables),
        (b"\0\1" * counted).ljust(refcount_blocks * CLUSTER, b"\0"),
        _table(_entries(tables, {table: l2_at + n for n, table in enumerate(used)}), l1_clusters),
        *_l2_tables(used, clusters, data_at),
    ]
    return b"".join(parts)


def _header(size_bytes: int, tables: int, l1_offset: int, refcount_tables: int) -> bytes:
    fixed = _HEADER.pack(
        b"QFI\xfb", 3, 0, 0, 16, size_bytes, 0, tables, l1_offset, CLUSTER, refcount_tables, 0, 0, 0, 0, 0, 4, _HEADER_BYTES
    )  # fmt: skip
    names = struct.pack(">BB46s", 0, 0, b"dirty bit")
    extension = struct.pack(">II", _FEATURES, len(names)) + names
    return (fixed.ljust(_HEADER_BYTES, b"\0") + extension).ljust(CLUSTER, b"\0")


def _refcounts(others: int) -> tuple[int, int]:
    """How many clusters the refcount table takes, and the refcounts, which count themselves."""
    tables, blocks = 1, 1
    while True:
        needed = -(-(others + tables + blocks) // _REFCOUNTS)
        if needed <= blocks:
            return tables, blocks
        blocks, tables = needed, -(-needed // _ENTRIES)


def _l2_tables(used: list[int], clusters: Sequence[int], data_at: int) -> list[bytes]:
    found: dict[int, dict[int, int]] = {table: {} for table in used}
    for nth, cluster in enumerate(clusters):
        found[cluster // _ENTRIES][cluster % _ENTRIES] = data_at + nth
    return [_table(_entries(_ENTRIES, found[table]), 1) for table in used]


def _entries(count: int, places: dict[int, int]) -> list[int]:
    """By index, the cluster of the file where it is."""
    return [places[n] * CLUSTER | _IN_USE if n in places else 0 for n in range(count)]


def _table(entries: list[int], clusters: int) -> bytes:
    return struct.pack(f">{len(entries)}Q", *entries).ljust(clusters * CLUSTER, b"\0")
