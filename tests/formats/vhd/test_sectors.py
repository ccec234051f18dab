"""Sector bitmaps."""

from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.formats.vhd.sectors import BITMAP_FULL, sector_bitmap, sector_extents
from xo_warmig.model.extents import Extent, normalise
from xo_warmig.model.units import MIB


def test_a_full_bitmap_is_one_extent() -> None:
    """Of the whole block."""
    assert sector_extents(BITMAP_FULL, 6 * MIB) == [Extent(6 * MIB, 2 * MIB)]
    assert sector_extents(memoryview(BITMAP_FULL), 0, 4096) == [Extent(0, 4096)]


def test_an_empty_bitmap_is_no_extent() -> None:
    """Even for a length of no whole byte of the bitmap."""
    assert sector_extents(bytes(512), 0) == []
    assert sector_extents(bytes(512), 0, 1024) == []


def test_the_first_sector_is_the_most_significant_bit() -> None:
    """As the specification has it."""
    assert sector_extents(b"\x80" + bytes(510) + b"\x01", 0) == [Extent(0, 512), Extent(2 * MIB - 512, 512)]


@given(st.sets(st.integers(0, 63)), st.integers(1, 64), st.integers(0, 3))
def test_a_bitmap_says_what_was_put_into_it(sectors: set[int], on_disk: int, block: int) -> None:
    """Clipped where the disk ends within the block."""
    offset = block * 64 * 512
    extents = normalise(Extent(offset + sector * 512, 512) for sector in sectors)
    bitmap = sector_bitmap(extents, offset, 64 * 512)
    assert len(bitmap) == 512
    below = normalise(Extent(offset + sector * 512, 512) for sector in sectors if sector < on_disk)
    assert sector_extents(bitmap, offset, on_disk * 512) == below
