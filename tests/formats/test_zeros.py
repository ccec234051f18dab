"""What is left of a buffer when zeros are left out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.formats.zeros import nonzero_extents
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import KIB, MIB


@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(1, 255)), max_size=6),
    st.integers(0, 40),
    st.integers(0, 160),
    st.integers(1, 50),
)
def test_just_the_granules_with_a_byte_in_them_are_given(
    marks: list[tuple[int, int]], start: int, length: int, granularity_bytes: int
) -> None:
    """Counted from the start; neighbours joined; the last may be short; nothing outside the range is looked at."""
    buffer = bytearray(200)
    for offset, value in marks:
        buffer[offset] = value
    found = nonzero_extents(buffer, start, length, granularity_bytes)
    expected = set()
    for first in range(start, start + length, granularity_bytes):
        granule = range(first, min(first + granularity_bytes, start + length))
        if any(buffer[i] for i in granule):
            expected |= set(granule)
    assert {i for extent in found for i in range(extent.offset, extent.end)} == expected
    assert all(one.end < other.offset for one, other in pairwise(found))


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_block_is_looked_at_in_64_kib(kind: type) -> None:
    """One byte in 2 MiB keeps its 64 KiB."""
    buffer = bytearray(2 * MIB)
    buffer[130 * KIB] = 1
    assert nonzero_extents(kind(buffer), 0, 2 * MIB) == [Extent(128 * KIB, 64 * KIB)]


def test_granules_larger_than_the_stock_of_zeros_are_compared_whole() -> None:
    """A byte at the far end of a 4 MiB granule is seen."""
    buffer = bytearray(4 * MIB)
    assert nonzero_extents(buffer, 0, 4 * MIB, 4 * MIB) == []
    buffer[-1] = 1
    assert nonzero_extents(buffer, 0, 4 * MIB, 4 * MIB) == [Extent(0, 4 * MIB)]
