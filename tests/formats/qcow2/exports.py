"""Heads of qcow2 exports as xapi's qcow2-to-stdout.py lays them out, put together by hand."""

import struct
from collections.abc import Collection

CLUSTER_BITS = 16


def export_head(size_bytes: int, stored: Collection[int], *, cluster_bits: int = CLUSTER_BITS, gap: int = 0) -> bytes:
    """Everything up to the first cluster: ``stored`` are those of the disk that the file brings. ``gap`` clusters before the L2 tables."""
    cluster = 1 << cluster_bits
    per_table = cluster // 8
    tables = -(-size_bytes // cluster // per_table) or 1
    used = sorted({index // per_table for index in stored})
    l1_at = 3  # clusters: the header, one of the refcount table, one of refcounts
    l2_at = l1_at + -(-tables * 8 // cluster) + gap
    data_at = l2_at + len(used)
    l1 = [0] * tables
    for place, table in enumerate(used):
        l1[table] = (l2_at + place) * cluster | 1 << 63
    places = {index: (data_at + nth) * cluster | 1 << 63 for nth, index in enumerate(sorted(stored))}
    head = header(size_bytes, cluster_bits=cluster_bits, l1_entries=tables, l1_offset=l1_at * cluster)
    parts = [head.ljust(l1_at * cluster, b"\0"), struct.pack(f">{tables}Q", *l1)]
    parts = [b"".join(parts).ljust(l2_at * cluster, b"\0")]
    for table in used:
        parts.append(struct.pack(f">{per_table}Q", *(places.get(table * per_table + n, 0) for n in range(per_table))))
    return b"".join(parts)


def header(size_bytes: int, *, cluster_bits: int, l1_entries: int, l1_offset: int) -> bytes:
    """The first 104 bytes."""
    cluster = 1 << cluster_bits
    return struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, cluster_bits, size_bytes, 0, l1_entries, l1_offset, cluster, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
