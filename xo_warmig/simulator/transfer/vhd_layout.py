"""The frame of an exported VHD as vhd-tool writes it (ocaml/libs/vhd/vhd_format/f.ml): everything but the blocks.

Written here for the simulator alone, from the specification and from what a real xapi sent, so that what reads VHDs elsewhere in this
project is tested against something else than itself.
"""

import struct
import time
import uuid as uuids
from typing import NamedTuple

from xo_warmig.simulator.storage import BLOCK

SECTOR = 512
FOOTER_BYTES = 512
HEADER_BYTES = 1024
BITMAP = b"\xff" * SECTOR
NO_BLOCK = 0xFFFFFFFF
FOOTER = struct.Struct(">8sIIQI4sIIQQHBBII16sB427x")
HEADER = struct.Struct(">8sQQIIII16sI4x512s")
CHECKSUM_IN_FOOTER, CHECKSUM_IN_HEADER = 64, 36

_TABLE_OFFSET = 2048
_DYNAMIC, _DIFFERENCING = 3, 4
_LOCATOR = struct.Struct(">4sIIIQ")
_EPOCH = 946_684_800  # VHD counts seconds from 2000


class Layout(NamedTuple):
    """``head``, then for each block ``bitmap`` and its data, then ``tail``: ``length_bytes`` altogether."""

    head: bytes
    bitmap: bytes
    tail: bytes
    length_bytes: int


def full_layout(size_bytes: int, blocks: list[int]) -> Layout:
    """Around these blocks, ascending, of a disk of that size."""
    return _layout(size_bytes, blocks, _DYNAMIC, bytes(16), 0, b"", bytes(_LOCATOR.size))


def delta_layout(size_bytes: int, blocks: list[int], base_uuid: str, base_path: str) -> Layout:
    """The same for a difference: it names the base's file, whose uid here is the uuid of its VDI. The locator has no data."""
    locator = _LOCATOR.pack(b"MacX", 1, len(f"file://{base_path}"), 0, 1536)
    parent, name = _uid(base_uuid), base_path.encode("utf-16-be")
    return _layout(size_bytes, blocks, _DIFFERENCING, parent, int(time.time()) - _EPOCH, name, locator)


def checksum(data: bytes, at: int) -> int:
    """One's complement of the sum of all bytes, those of the checksum itself left out."""
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


def _layout(
    size_bytes: int, blocks: list[int], kind: int, parent: bytes, stamp: int, name: bytes, locator: bytes
) -> Layout:
    entries = -(-size_bytes // BLOCK)
    table_bytes = -(-4 * entries // SECTOR) * SECTOR
    first = (_TABLE_OFFSET + table_bytes) // SECTOR
    table = [NO_BLOCK] * (table_bytes // 4)
    for number, block in enumerate(blocks):
        table[block] = first + number * (SECTOR + BLOCK) // SECTOR
    footer = _footer(size_bytes, kind)
    header = HEADER.pack(b"cxsparse", 2**64 - 1, _TABLE_OFFSET, 0x10000, entries, BLOCK, 0, parent, stamp, name)
    header = _sealed((header + locator).ljust(HEADER_BYTES, b"\0"), CHECKSUM_IN_HEADER)
    head = footer + header + bytes(SECTOR) + struct.pack(f">{len(table)}I", *table)
    length = len(head) + len(blocks) * (SECTOR + BLOCK) + len(footer)
    return Layout(head=head, bitmap=BITMAP, tail=footer, length_bytes=length)


def _footer(size_bytes: int, kind: int) -> bytes:
    cylinders, heads, sectors = geometry(size_bytes // SECTOR)
    creator = (b"caml", 1, 0)
    shape = (size_bytes, size_bytes, cylinders, heads, sectors, kind)
    return _sealed(
        FOOTER.pack(b"conectix", 2, 0x10000, 512, 0, *creator, *shape, 0, uuids.uuid4().bytes, 0), CHECKSUM_IN_FOOTER
    )


def geometry(total_sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors by the algorithm in the appendix of the VHD specification."""
    total = min(total_sectors, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    sectors, heads = 17, max(4, (total // 17 + 1023) // 1024)
    if total // 17 >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
    if total // sectors >= heads * 1024:
        sectors, heads = 63, 16
    return total // sectors // heads, heads, sectors


def _sealed(data: bytes, at: int) -> bytes:
    return data[:at] + struct.pack(">I", checksum(data, at)) + data[at + 4 :]


def _uid(text: str) -> bytes:
    try:
        return uuids.UUID(text).bytes
    except ValueError:
        return uuids.uuid5(uuids.NAMESPACE_OID, text).bytes
