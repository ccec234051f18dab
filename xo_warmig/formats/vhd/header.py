"""The dynamic header of a VHD: 1024 bytes that say where the block table is, how large blocks are, and who the parent is.

Source: Microsoft's "Virtual Hard Disk Image Format Specification", and ocaml/libs/vhd/vhd_format/f.ml for what XAPI writes.
"""

import struct
from typing import NamedTuple
from uuid import UUID

import msgspec

from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd.checksum import check_seal, seal
from xo_warmig.formats.vhd.limits import (
    BLOCK_BYTES,
    HEADER_BYTES,
    LEAST_BLOCK_BYTES,
    MOST_BLOCK_BYTES,
    MOST_ENTRIES,
)
from xo_warmig.formats.vhd.refusal import printable, refused

COOKIE = b"cxsparse"
VERSION = 0x00010000
NO_PARENT = UUID(int=0)
LOCATORS = 8
LOCATOR_OFFSET = 1536  # the sector that XAPI leaves for one, and never fills

_LAYOUT = struct.Struct(">8sQQIIII16sI4x512s192s256x")
_LOCATOR = struct.Struct(">4sII4xQ")
_CHECKSUM_OFFSET = 36
_NO_OFFSET = 0xFFFFFFFFFFFFFFFF
_NAME_BYTES = 512


class ParentLocator(NamedTuple):
    """Where in the file a path of the parent stands, and for which platform. All zeros: unused."""

    platform_code: bytes = bytes(4)
    data_space: int = 0
    data_length: int = 0
    data_offset: int = 0


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a differencing VHD says of its parent.

    In XAPI's exports these describe the file on the host and not an earlier export, so they do not chain streams: give no meaning to
    them. ``timestamp`` is in seconds since 2000-01-01 UTC.
    """

    unique_id: UUID
    name: str
    timestamp: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """``max_table_entries`` blocks of ``block_bytes``; the table is at ``table_offset``."""

    table_offset: int
    max_table_entries: int
    block_bytes: int = BLOCK_BYTES
    parent: Parent | None = None
    locators: tuple[ParentLocator, ...] = ()


def header_for(table_offset: int, max_table_entries: int, block_bytes: int, parent: Parent | None) -> Header:
    """The header that XAPI writes: for a differencing disk with one locator, whose data it leaves out."""
    locators: tuple[ParentLocator, ...] = ()
    if parent is not None:
        url_length = len(f"file://{parent.name}".encode())
        locators = (ParentLocator(b"MacX", 1, url_length, LOCATOR_OFFSET),)
    return Header(
        table_offset=table_offset,
        max_table_entries=max_table_entries,
        block_bytes=block_bytes,
        parent=parent,
        locators=locators,
    )


def pack_header(header: Header) -> bytes:
    """The 1024 bytes, with their checksum. Raises FormatError when the parent's name is too long."""
    parent = header.parent or Parent(unique_id=NO_PARENT, name="")
    block = _LAYOUT.pack(
        COOKIE,
        _NO_OFFSET,
        header.table_offset,
        VERSION,
        header.max_table_entries,
        header.block_bytes,
        0,
        parent.unique_id.bytes,
        parent.timestamp,
        _pack_name(parent.name),
        b"".join(_LOCATOR.pack(*locator) for locator in header.locators[:LOCATORS]),
    )
    return seal(block, _CHECKSUM_OFFSET)


def parse_header(block: bytes) -> Header:
    """The header in 1024 bytes. Unused locators at the end are left out.

    Raises:
        FormatError: they are none, or are damaged, or claim more than a reader should take in.
    """
    if not block.startswith(COOKIE) or len(block) != HEADER_BYTES:
        raise refused("no dynamic header where one must be", found=printable(block))
    check_seal(block, _CHECKSUM_OFFSET, "dynamic header")
    fields = _LAYOUT.unpack(block)
    _check_claims(data_offset=fields[1], version=fields[3], entries=fields[4], block_bytes=fields[5])
    return Header(
        table_offset=fields[2],
        max_table_entries=fields[4],
        block_bytes=fields[5],
        parent=_parse_parent(UUID(bytes=fields[7]), fields[9], fields[8]),
        locators=_parse_locators(fields[10]),
    )


def _check_claims(*, data_offset: int, version: int, entries: int, block_bytes: int) -> None:
    if data_offset != _NO_OFFSET:
        raise refused("a second header, which no version of the format has", data_offset=data_offset)
    if version >> 16 != VERSION >> 16:
        raise refused("an unknown version in its dynamic header", version=version)
    if entries > MOST_ENTRIES:
        raise refused("an absurdly large block table", max_table_entries=entries, most=MOST_ENTRIES)
    if block_bytes & (block_bytes - 1) or not LEAST_BLOCK_BYTES <= block_bytes <= MOST_BLOCK_BYTES:
        raise refused("a block size that is no power of two or out of range", block_bytes=block_bytes)


def _pack_name(name: str) -> bytes:
    encoded = name.encode("utf-16-be", "surrogatepass")
    if len(encoded) > _NAME_BYTES:
        raise FormatError(
            f"the parent's name has {len(encoded) // 2} UTF-16 units where a VHD has room for {_NAME_BYTES // 2}",
            evidence={"name": name},
            remedy="Give the parent a shorter path.",
        )
    return encoded


def _parse_parent(unique_id: UUID, name: bytes, timestamp: int) -> Parent | None:
    if unique_id == NO_PARENT and not any(name):
        return None
    text = name.decode("utf-16-be", "replace").split("\0", 1)[0]
    return Parent(unique_id=unique_id, name=text, timestamp=timestamp)


def _parse_locators(table: bytes) -> tuple[ParentLocator, ...]:
    locators = [ParentLocator(*fields) for fields in _LOCATOR.iter_unpack(table)]
    while locators and locators[-1] == ParentLocator():
        locators.pop()
    return tuple(locators)
