"""A VHD built by hand: tables where no writer of ours would put them, blocks in any order, with gaps between them."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from xo_warmig.formats.vhd.footer import DiskType, footer_for, pack_footer
from xo_warmig.formats.vhd.header import Header, pack_header
from xo_warmig.formats.vhd.limits import bitmap_length, round_up

BLOCK_BYTES = 4096


class Placed(msgspec.Struct, frozen=True):
    """A block to be put into the file: its index, the unused bytes before it, its bitmap (its first bytes) and its data."""

    index: int
    gap_bytes: int
    bitmap: bytes
    data: bytes


def build_vhd(
    size_bytes: int,
    blocks: list[Placed],
    *,
    header_gap: int = 0,
    table_gap: int = 0,
    padding: int = 0,
    entries: int | None = None,
) -> bytes:
    """A dynamic VHD with blocks of 4 KiB. All gaps are in bytes and multiples of 512, filled with 0x5A."""
    entries = -(-size_bytes // BLOCK_BYTES) if entries is None else entries
    header_offset = 512 + header_gap
    table_offset = header_offset + 1024 + table_gap
    table = bytearray(b"\xff" * round_up(4 * entries))
    offset = table_offset + len(table)
    body = bytearray()
    for block in blocks:
        start = offset + len(body) + block.gap_bytes
        table[4 * block.index : 4 * block.index + 4] = (start // 512).to_bytes(4, "big")
        body += b"\x5a" * block.gap_bytes + block.bitmap.ljust(bitmap_length(BLOCK_BYTES), b"\0")
        body += block.data.ljust(BLOCK_BYTES, b"\0")
    plain = footer_for(size_bytes, DiskType.DYNAMIC, UUID(int=7))
    footer = pack_footer(msgspec.structs.replace(plain, data_offset=header_offset, creator_application=b"test"))
    header = pack_header(Header(table_offset=table_offset, max_table_entries=entries, block_bytes=BLOCK_BYTES))
    head = footer + b"\x5a" * header_gap + header + b"\x5a" * table_gap + bytes(table)
    return head + bytes(body) + b"\x5a" * padding + footer


@pytest.fixture(scope="session")
def build() -> Callable[..., bytes]:
    return build_vhd


@pytest.fixture(scope="session")
def placed() -> type[Placed]:
    return Placed
