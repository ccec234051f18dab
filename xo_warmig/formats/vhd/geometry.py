"""Cylinders, heads and sectors of a disk, as the appendix of the VHD specification computes them."""

from typing import NamedTuple

from xo_warmig.formats.vhd.limits import SECTOR_BYTES

_MOST_SECTORS = 65535 * 16 * 255


class Geometry(NamedTuple):
    """CHS; its product is at most the disk's sectors, and no reader should take it for the size."""

    cylinders: int
    heads: int
    sectors_per_track: int

    @property
    def size_bytes(self) -> int:
        return self.cylinders * self.heads * self.sectors_per_track * SECTOR_BYTES


def geometry_of(size_bytes: int) -> Geometry:
    """The geometry for a disk of ``size_bytes``."""
    sectors = min(size_bytes // SECTOR_BYTES, _MOST_SECTORS)
    if sectors >= 65535 * 16 * 63:
        return Geometry(sectors // 255 // 16, 16, 255)
    tracks = sectors // 17
    heads = max(4, (tracks + 1023) // 1024)
    sectors_per_track = 17
    if tracks >= heads * 1024 or heads > 16:
        heads, sectors_per_track = 16, 31
        tracks = sectors // 31
    if tracks >= heads * 1024:
        heads, sectors_per_track = 16, 63
        tracks = sectors // 63
    return Geometry(tracks // heads, heads, sectors_per_track)
