"""The frame of exported VHDs, against the first kilobytes that a real xapi sent for the same disks."""

import hashlib
import struct

from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.transfer.vhd_layout import (
    CHECKSUM_IN_FOOTER,
    CHECKSUM_IN_HEADER,
    checksum,
    delta_layout,
    full_layout,
    geometry,
)

GIB = 1 << 30
FULL_FOOTER = bytes.fromhex(  # of an 8 GiB disk
    "636f6e656374697800000002000100000000000000000200000000006361"
    "6d6c0000000100000000000000020000000000000002000000004104103f"
    "00000003fffff0c4d69fa895f2f04fc99161eb16e32b16dd"
).ljust(512, b"\0")
FULL_HEADER = bytes.fromhex("6378737061727365ffffffffffffffff0000000000000800000100000000100000200000fffff465").ljust(
    1024, b"\0"
)
DELTA_FOOTER = bytes.fromhex(  # of a 16 MiB disk
    "636f6e656374697800000002000100000000000000000200000000006361"
    "6d6c00000001000000000000000001000000000000000100000001e10411"
    "00000004fffff075aa8e327665bd4c92a5f567a1ffe1e348"
).ljust(512, b"\0")
DELTA_BASE = "4daf6601-f3fd-41e4-be5e-4bc41102c13d"
DELTA_PATH = "/run/sr-mount/c38ca80e-962c-0791-3bbf-0db8ffa5ba61/e3bbfb36-794a-4681-9c61-f6cbdaecc959.vhd"
DELTA_LOCATOR = bytes.fromhex("4d6163580000000100000062000000000000000000000600")
UID = slice(68, 84)


def without_identity(footer: bytes) -> bytes:
    """The uid is random in each export; the checksum follows from it."""
    return footer[:64] + bytes(20) + footer[84:]


def test_the_footer_is_that_of_a_real_export() -> None:
    """Field for field."""
    footer = full_layout(8 * GIB, []).head[:512]
    assert without_identity(footer) == without_identity(FULL_FOOTER)
    delta = delta_layout(16 << 20, [2], DELTA_BASE, DELTA_PATH).head[:512]
    assert without_identity(delta) == without_identity(DELTA_FOOTER)


def test_checksums_agree_with_a_real_export() -> None:
    """Over its own bytes."""
    assert struct.pack(">I", checksum(FULL_FOOTER, CHECKSUM_IN_FOOTER)) == FULL_FOOTER[64:68]
    assert struct.pack(">I", checksum(FULL_HEADER, CHECKSUM_IN_HEADER)) == FULL_HEADER[36:40]


def test_the_header_is_that_of_a_real_export() -> None:
    """Of a full one to the last byte."""
    assert full_layout(8 * GIB, []).head[512:1536] == FULL_HEADER


def test_a_delta_names_its_base_as_a_real_export_does() -> None:
    """By uid, path and a locator without data."""
    header = delta_layout(16 << 20, [2], DELTA_BASE, DELTA_PATH).head[512:1536]
    assert header[40:56] == bytes.fromhex(DELTA_BASE.replace("-", ""))
    assert header[64:576].rstrip(b"\0").decode("utf-16-be") == DELTA_PATH.rstrip("\0")
    assert header[576:600] == DELTA_LOCATOR
    assert header[600:] == bytes(424)


def test_the_table_points_at_each_block() -> None:
    """In ascending order, from the first sector after it; as in a real delta with block 2 of 8."""
    layout = delta_layout(16 << 20, [2], DELTA_BASE, DELTA_PATH)
    table = struct.unpack(">128I", layout.head[2048:])
    assert table == tuple(5 if block == 2 else 0xFFFFFFFF for block in range(128))
    two = full_layout(16 << 20, [0, 7])
    table = struct.unpack_from(">8I", two.head, 2048)
    assert (table[0], table[7]) == (5, 5 + 1 + BLOCK // 512)
    assert two.length_bytes == 2560 + 2 * (512 + BLOCK) + 512


def test_every_export_has_a_uid_of_its_own() -> None:
    """Streams do not chain by uid."""
    one, two = (hashlib.sha256(full_layout(16 << 20, []).head[UID]).digest() for _ in range(2))
    assert one != two


def test_geometry_follows_the_specification() -> None:
    """Of the two disks of the captures, and of the largest."""
    assert geometry(8 * GIB // 512) == (0x4104, 0x10, 0x3F)
    assert geometry((16 << 20) // 512) == (0x1E1, 4, 0x11)
    assert geometry(2040 * GIB // 512) == (65535, 16, 255)
