"""VHD, dynamic and differencing, as a stream: read in any order of its blocks, written with its length known beforehand.

Each module is one part of the file; these are the names that others use. Fixed VHDs and files on disk are not for here.
"""

from xo_warmig.formats.vhd.footer import DiskType, Footer
from xo_warmig.formats.vhd.header import Header, Parent
from xo_warmig.formats.vhd.layout import BlockPlace, VhdLayout, stream_length
from xo_warmig.formats.vhd.limits import BLOCK_BYTES, MOST_SIZE_BYTES
from xo_warmig.formats.vhd.piece import VhdPiece
from xo_warmig.formats.vhd.reader import layout_reader, trailer_reader, vhd_reader
from xo_warmig.formats.vhd.sectors import BITMAP_FULL, sector_bitmap, sector_extents
from xo_warmig.formats.vhd.writer import VhdWriter

__all__ = [
    "BITMAP_FULL",
    "BLOCK_BYTES",
    "MOST_SIZE_BYTES",
    "BlockPlace",
    "DiskType",
    "Footer",
    "Header",
    "Parent",
    "VhdLayout",
    "VhdPiece",
    "VhdWriter",
    "layout_reader",
    "sector_bitmap",
    "sector_extents",
    "stream_length",
    "trailer_reader",
    "vhd_reader",
]
