"""The footer of a VHD: 512 bytes at its end, and a copy at its start when it is dynamic or differencing.

Source: Microsoft's "Virtual Hard Disk Image Format Specification", and ocaml/libs/vhd/vhd_format/f.ml for what XAPI writes.
"""

import struct
from enum import IntEnum
from uuid import UUID

import msgspec

from xo_warmig.formats.vhd.checksum import check_seal, seal
from xo_warmig.formats.vhd.geometry import Geometry, geometry_of
from xo_warmig.formats.vhd.limits import FOOTER_BYTES, MOST_SIZE_BYTES, SECTOR_BYTES
from xo_warmig.formats.vhd.refusal import printable, refused

COOKIE = b"conectix"
VERSION = 0x00010000

_LAYOUT = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_CHECKSUM_OFFSET = 64


class DiskType(IntEnum):
    """A differencing disk holds only what differs from its parent."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


class Footer(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults are what XAPI writes. ``timestamp`` is in seconds since 2000-01-01 UTC."""

    current_size_bytes: int
    disk_type: DiskType
    unique_id: UUID
    geometry: Geometry
    original_size_bytes: int
    data_offset: int = FOOTER_BYTES
    features: int = 2
    timestamp: int = 0
    creator_application: bytes = b"caml"
    creator_version: int = 1
    creator_host_os: bytes = bytes(4)
    saved_state: int = 0


def footer_for(size_bytes: int, disk_type: DiskType, unique_id: UUID) -> Footer:
    """The footer that XAPI writes for a disk of ``size_bytes``."""
    return Footer(
        current_size_bytes=size_bytes,
        original_size_bytes=size_bytes,
        disk_type=disk_type,
        unique_id=unique_id,
        geometry=geometry_of(size_bytes),
    )


def pack_footer(footer: Footer) -> bytes:
    """The 512 bytes, with their checksum."""
    block = _LAYOUT.pack(
        COOKIE,
        footer.features,
        VERSION,
        footer.data_offset,
        footer.timestamp,
        footer.creator_application,
        footer.creator_version,
        footer.creator_host_os,
        footer.original_size_bytes,
        footer.current_size_bytes,
        *footer.geometry,
        footer.disk_type,
        0,
        footer.unique_id.bytes,
        footer.saved_state,
    )
    return seal(block, _CHECKSUM_OFFSET)


def parse_footer(block: bytes) -> Footer:
    """The footer in 512 bytes.

    Raises:
        FormatError: they are none, or are damaged, or of a fixed disk, or the disk's size is one that no VHD has.
    """
    if not block.startswith(COOKIE) or len(block) != FOOTER_BYTES:
        raise refused("no footer where one must be", found=printable(block))
    check_seal(block, _CHECKSUM_OFFSET, "footer")
    fields = _LAYOUT.unpack(block)
    if fields[2] >> 16 != VERSION >> 16:
        raise refused("an unknown version in its footer", version=fields[2])
    size_bytes = fields[9]
    if not 0 < size_bytes <= MOST_SIZE_BYTES or size_bytes % SECTOR_BYTES:
        raise refused("a disk size that no VHD can have", size_bytes=size_bytes)
    return Footer(
        features=fields[1],
        data_offset=fields[3],
        timestamp=fields[4],
        creator_application=fields[5],
        creator_version=fields[6],
        creator_host_os=fields[7],
        original_size_bytes=fields[8],
        current_size_bytes=size_bytes,
        geometry=Geometry(*fields[10:13]),
        disk_type=_disk_type(fields[13]),
        unique_id=UUID(bytes=fields[15]),
        saved_state=fields[16],
    )


def _disk_type(value: int) -> DiskType:
    if value not in (DiskType.DYNAMIC, DiskType.DIFFERENCING):
        raise refused("another type than dynamic or differencing, which cannot be streamed", disk_type=value)
    return DiskType(value)
