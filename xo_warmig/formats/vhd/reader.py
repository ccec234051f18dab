"""Reading a VHD as it streams by: footer, header, table, blocks in whatever order the file has them, footer.

Two ways, of the same parts. Who wants the bytes without copies reads the head through ``layout_reader``, the blocks by the layout's
``places`` and ``sector_extents``, and the end through ``trailer_reader``. ``vhd_reader`` does all of it and gives pieces of the disk.
A file whose header or table stands behind its blocks cannot be streamed and is refused.
"""

from collections.abc import Generator
from typing import Never, TypeAlias, TypeVar

from xo_warmig.formats.stream import Parser, Reader, Stream
from xo_warmig.formats.vhd.footer import COOKIE, Footer, parse_footer
from xo_warmig.formats.vhd.header import Header, parse_header
from xo_warmig.formats.vhd.layout import BlockPlace, VhdLayout, layout_of
from xo_warmig.formats.vhd.limits import (
    FOOTER_BYTES,
    HEADER_BYTES,
    MOST_PADDING_BYTES,
    MOST_TABLE_OFFSET,
    SECTOR_BYTES,
)
from xo_warmig.formats.vhd.piece import VhdPiece
from xo_warmig.formats.vhd.refusal import refused
from xo_warmig.formats.vhd.sectors import sector_extents
from xo_warmig.formats.vhd.table import ENTRY_BYTES, PIECE_BYTES, AllocatedBlocks, table_length
from xo_warmig.model.extents import split
from xo_warmig.model.units import MIB

MOST_PIECE_BYTES = 2 * MIB

R = TypeVar("R")
Part: TypeAlias = Generator[None, None, R]
"""A parser that yields no values."""


def layout_reader() -> Reader[Never, VhdLayout]:
    """A reader of a stream's head, up to the end of the table; the result is the layout.

    In memory: eight bytes per allocated block, so 8 MiB for a full disk of 2040 GiB, and three times that for a moment when the file
    has its blocks in another order than the disk; 64 KiB beside.
    """
    return Reader(read_layout)


def trailer_reader(layout: VhdLayout) -> Reader[Never, Footer]:
    """A reader of what follows the last block: padding, at most 16 MiB, and the footer, checked against the first."""
    return Reader(lambda stream: read_trailer(stream, layout.footer))


def vhd_reader() -> Reader[VhdLayout | VhdPiece, Footer]:
    """A reader of a whole stream: first gives the layout, then the pieces of the disk; the result is the trailing footer.

    It holds at most 2 MiB beside the layout and what it is fed with.
    """
    return Reader(read_vhd)


def read_vhd(stream: Stream) -> Parser[VhdLayout | VhdPiece, Footer]:
    """The parser of ``vhd_reader``. Pieces are at most 2 MiB, and none crosses a block."""
    layout = yield from read_layout(stream)
    yield layout
    for place in layout.places():
        yield from stream.skip(place.file_offset - stream.position)
        yield from _read_block(stream, layout, place)
    return (yield from read_trailer(stream, layout.footer))


def read_layout(stream: Stream) -> Part[VhdLayout]:
    """The parser of ``layout_reader``."""
    footer = parse_footer((yield from stream.exact(FOOTER_BYTES)))
    yield from _go_to(stream, footer.data_offset, "dynamic header")
    header = parse_header((yield from stream.exact(HEADER_BYTES)))
    yield from _go_to(stream, header.table_offset, "block table")
    allocated = yield from _read_table(stream, header)
    return layout_of(footer, header, stream.position, allocated)


def read_trailer(stream: Stream, first: Footer) -> Part[Footer]:
    """The parser of ``trailer_reader``."""
    for _ in range(MOST_PADDING_BYTES // SECTOR_BYTES):
        sector = yield from stream.exact(SECTOR_BYTES)
        if sector.startswith(COOKIE):
            return _checked_trailer(sector, first)
        if sector.startswith(b"HTTP/"):
            break  # a pool that fails in the middle of an export writes its error message into the body
    raise refused("no footer behind its last block", position=stream.position)


def _checked_trailer(sector: bytes, first: Footer) -> Footer:
    footer = parse_footer(sector)
    if (footer.unique_id, footer.current_size_bytes, footer.disk_type) != (
        first.unique_id,
        first.current_size_bytes,
        first.disk_type,
    ):
        raise refused("two footers of different disks", first=str(first.unique_id), last=str(footer.unique_id))
    return footer


def _go_to(stream: Stream, offset: int, name: str) -> Part[None]:
    if not stream.position <= offset <= MOST_TABLE_OFFSET:
        raise refused(f"its {name} where no stream can have it", offset=offset, position=stream.position)
    yield from stream.skip(offset - stream.position)


def _read_table(stream: Stream, header: Header) -> Part[AllocatedBlocks]:
    allocated = AllocatedBlocks()
    table_bytes = header.max_table_entries * ENTRY_BYTES
    for offset in range(0, table_bytes, PIECE_BYTES):
        allocated.add_piece((yield from stream.exact(min(PIECE_BYTES, table_bytes - offset))))
    yield from stream.skip(table_length(header.max_table_entries) - table_bytes)
    return allocated


def _read_block(stream: Stream, layout: VhdLayout, place: BlockPlace) -> Parser[VhdPiece, None]:
    bitmap = yield from stream.exact(place.bitmap_length)
    block = layout.disk_extent(place)
    for extent in split(sector_extents(bitmap, block.offset, block.length), MOST_PIECE_BYTES):
        yield from stream.skip(place.data_offset + extent.offset - block.offset - stream.position)
        yield VhdPiece(extent, (yield from stream.exact(extent.length)))
    yield from stream.skip(place.end - stream.position)
