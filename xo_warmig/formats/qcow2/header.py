"""The header of a qcow2 file. Source: docs/interop/qcow2.txt of QEMU."""

import struct
from typing import NamedTuple

from xo_warmig.formats.qcow2.limits import (
    ENTRY_BYTES,
    LEAST_CLUSTER_BITS,
    LEAST_HEADER_BYTES,
    MOST_CLUSTER_BITS,
    MOST_HEADER_BYTES,
    MOST_L1_ENTRIES,
    MOST_L1_OFFSET,
    MOST_SIZE_BYTES,
)
from xo_warmig.formats.qcow2.refusal import refused

MAGIC = b"QFI\xfb"
_LAYOUT = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_FEATURES = ("dirty", "corrupt", "an external data file", "a compression type", "extended L2 entries")


class Header(NamedTuple):
    """A disk of ``size_bytes`` in clusters of ``cluster_bytes``, and where its L1 table is."""

    size_bytes: int
    cluster_bytes: int
    l1_offset: int
    l1_entries: int

    @property
    def clusters(self) -> int:
        """Of the disk; the last one may be shorter than the others."""
        return -(-self.size_bytes // self.cluster_bytes)

    @property
    def clusters_per_table(self) -> int:
        """How many an L2 table says something of."""
        return self.cluster_bytes // ENTRY_BYTES

    @property
    def tables(self) -> int:
        """How many L2 tables the disk needs when all of it is stored."""
        return -(-self.clusters // self.clusters_per_table)


def parse_header(block: bytes) -> Header:
    """The header in its first 104 bytes.

    Raises:
        FormatError: they are none, or of a kind of file that xapi does not write and that may mean something else.
    """
    fields = _LAYOUT.unpack(block[:LEAST_HEADER_BYTES])
    magic, version, backing_offset, _, cluster_bits, size_bytes, encryption, l1_entries, l1_offset = fields[:9]
    snapshots, features, header_bytes = fields[11], fields[13], fields[17]
    if magic != MAGIC:
        raise refused("no header where one must be", found=block[:64].decode("ascii", "backslashreplace"))
    if version != 3:
        raise refused("an unknown version", version=version)
    if backing_offset:
        raise refused("a parent: it is a difference, where a full export was asked for", backing_offset=backing_offset)
    if encryption or snapshots:
        raise refused("encryption or snapshots inside", encryption=encryption, snapshots=snapshots)
    if features:
        raise refused(f"features that change its meaning: {_named(features)}", incompatible_features=features)
    if header_bytes % 8 or not LEAST_HEADER_BYTES <= header_bytes <= MOST_HEADER_BYTES:
        raise refused("an absurd header length", header_bytes=header_bytes)
    if not LEAST_CLUSTER_BITS <= cluster_bits <= MOST_CLUSTER_BITS:
        raise refused("a cluster size out of range", cluster_bits=cluster_bits)
    header = Header(size_bytes, 1 << cluster_bits, l1_offset, l1_entries)
    _check_table(header)
    return header


def _check_table(header: Header) -> None:
    if not 0 < header.size_bytes <= MOST_SIZE_BYTES or header.size_bytes % 512:
        raise refused("a disk size out of range", size_bytes=header.size_bytes, most=MOST_SIZE_BYTES)
    if not header.tables <= header.l1_entries <= MOST_L1_ENTRIES:
        raise refused("an L1 table that does not fit its disk", entries=header.l1_entries, needed=header.tables)
    if header.l1_offset % header.cluster_bytes or not header.cluster_bytes <= header.l1_offset <= MOST_L1_OFFSET:
        raise refused("its L1 table where no stream can have it", l1_offset=header.l1_offset)


def _named(features: int) -> str:
    names = [_FEATURES[bit] if bit < len(_FEATURES) else f"bit {bit}" for bit in range(64) if features >> bit & 1]
    return ", ".join(names)
