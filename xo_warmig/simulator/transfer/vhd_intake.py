"""Putting a VHD stream on a disk: read forward only, bitmaps honoured, everything else of the image's identity ignored, as vhd-tool does.

What is checked is what it checks: cookies, versions and checksums of footer and header, the block size, and the footer at the end.
"""

import struct
from typing import NamedTuple

from xo_warmig.errors import FormatError
from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.transfer.receivers import Target
from xo_warmig.simulator.transfer.vhd_layout import (
    CHECKSUM_IN_FOOTER,
    CHECKSUM_IN_HEADER,
    FOOTER,
    FOOTER_BYTES,
    HEADER,
    HEADER_BYTES,
    NO_BLOCK,
    SECTOR,
    checksum,
)


class _Shape(NamedTuple):
    """Where the table is, how many entries it has, and the size of a block."""

    table_offset: int
    entries: int
    block_bytes: int


def receive_vhd(target: Target, length_bytes: int | None) -> None:
    """The whole image. Without a length the device's size stands for it, which is never right for a VHD.

    Raises:
        FormatError: the stream is no VHD.
        EOFError: it ends too early.
        OSError: a block lies beyond the disk, or there is no room.
    """
    end = (target.disk.size_bytes if length_bytes is None else length_bytes) // SECTOR * SECTOR - FOOTER_BYTES
    if end < 0:
        raise FormatError("too short to be a VHD")
    header_offset = _footer(target.inlet.take(FOOTER_BYTES))
    _seek(target, header_offset)
    shape = _header(target.inlet.take(HEADER_BYTES))
    _seek(target, shape.table_offset)
    table = struct.unpack(f">{shape.entries}I", target.inlet.take(4 * shape.entries))
    for sector, block in sorted((sector, block) for block, sector in enumerate(table) if sector != NO_BLOCK):
        _seek(target, sector * SECTOR)
        _block(target, block, shape.block_bytes)
    _seek(target, end)
    _footer(target.inlet.take(FOOTER_BYTES))


def _seek(target: Target, offset: int) -> None:
    ahead = offset - target.inlet.received_bytes
    if ahead < 0:
        raise FormatError("the stream would have to be read backwards", evidence={"offset": offset})
    target.inlet.skip(ahead)


def _block(target: Target, block: int, block_bytes: int) -> None:
    """Write the sectors whose bit is set. Blocks larger than our buffer are taken in pieces."""
    bitmap_bytes = -(-block_bytes // SECTOR // 8 // SECTOR) * SECTOR
    bitmap = target.inlet.take(bitmap_bytes)
    offset, sectors = block * block_bytes, block_bytes // SECTOR
    if bitmap.count(0xFF) * 8 >= sectors:
        target.copy(offset, block_bytes)
        return
    for first in range(0, sectors, BLOCK // SECTOR):
        count = min(BLOCK // SECTOR, sectors - first)
        data = target.read(count * SECTOR)
        for begin, length in _runs(bitmap, first, count):
            at = (begin - first) * SECTOR
            target.write(offset + begin * SECTOR, data[at : at + length * SECTOR])


def _runs(bitmap: bytes, first: int, count: int) -> list[tuple[int, int]]:
    """Begin and length of each run of set bits among ``count`` from ``first``; the highest bit of a byte is the first."""
    runs: list[tuple[int, int]] = []
    for sector in range(first, first + count):
        if bitmap[sector >> 3] >> (7 - (sector & 7)) & 1:
            if runs and sum(runs[-1]) == sector:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((sector, 1))
    return runs


def _footer(data: bytes) -> int:
    """Where the header is."""
    cookie, _, version, data_offset, *_, stored, _, _ = FOOTER.unpack(data)
    if cookie != b"conectix" or version != 0x10000:
        raise FormatError("no VHD footer")
    if stored != checksum(data, CHECKSUM_IN_FOOTER):
        raise FormatError("the footer's checksum is wrong")
    return int(data_offset)


def _header(data: bytes) -> _Shape:
    cookie, data_offset, table_offset, version, entries, block_bytes, stored, *_ = HEADER.unpack(data[: HEADER.size])
    if cookie != b"cxsparse" or data_offset != 2**64 - 1 or version != 0x10000:
        raise FormatError("no VHD header")
    if stored != checksum(data, CHECKSUM_IN_HEADER):
        raise FormatError("the header's checksum is wrong")
    if block_bytes < SECTOR or block_bytes & (block_bytes - 1):
        raise FormatError(f"a block size of {block_bytes} is no power of two")
    return _Shape(table_offset=table_offset, entries=entries, block_bytes=block_bytes)
