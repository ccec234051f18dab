"""Arithmetic on ranges of a disk, against sets of bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.model.extents import Extent, clip, join_near, normalise, split, total_bytes, union

EXTENTS = st.lists(st.builds(Extent, st.integers(0, 60), st.integers(0, 20)), max_size=8)


def bytes_of(extents: list[Extent]) -> set[int]:
    return {byte for extent in extents for byte in range(extent.offset, extent.end)}


@given(EXTENTS)
def test_normalising_keeps_the_bytes_and_leaves_gaps_between_all(extents: list[Extent]) -> None:
    """Sorted, non-empty, and with at least a byte between any two."""
    normal = normalise(extents)
    assert bytes_of(normal) == bytes_of(extents)
    assert all(extent.length > 0 for extent in normal)
    assert all(one.end < other.offset for one, other in pairwise(normal))


@given(EXTENTS, EXTENTS)
def test_the_union_has_the_bytes_of_both(one: list[Extent], other: list[Extent]) -> None:
    """And is normal."""
    assert bytes_of(union(one, other)) == bytes_of(one) | bytes_of(other)
    assert union(one, other) == normalise(union(one, other))


@given(EXTENTS, st.integers(0, 90))
def test_clipping_keeps_what_is_below_the_size(extents: list[Extent], size_bytes: int) -> None:
    """Nothing else is lost, nothing reaches beyond."""
    assert bytes_of(list(clip(extents, size_bytes))) == {byte for byte in bytes_of(extents) if byte < size_bytes}


@given(EXTENTS, st.integers(0, 30))
def test_joining_bridges_just_the_gaps_that_are_small_enough(extents: list[Extent], gap_bytes: int) -> None:
    """What is left between two is larger than the gap; what was bridged is not."""
    normal = normalise(extents)
    joined = list(join_near(normal, gap_bytes))
    bridged = bytes_of(joined) - bytes_of(normal)
    assert bytes_of(joined) >= bytes_of(normal)
    assert all(other.offset - one.end > gap_bytes for one, other in pairwise(joined))
    assert all(gap.length <= gap_bytes for gap in normalise(Extent(byte, 1) for byte in bridged))


@given(EXTENTS, st.integers(1, 25))
def test_splitting_cuts_at_multiples(extents: list[Extent], most_bytes: int) -> None:
    """The same bytes in the same order, no piece across a multiple of the size."""
    pieces = list(split(extents, most_bytes))
    assert [b for p in pieces for b in range(p.offset, p.end)] == [b for e in extents for b in range(e.offset, e.end)]
    assert all(piece.offset // most_bytes == (piece.end - 1) // most_bytes for piece in pieces)


def test_the_total_is_the_sum_of_the_lengths() -> None:
    """Overlapping bytes count twice: normalise first where that matters."""
    assert total_bytes([Extent(0, 5), Extent(3, 4)]) == 9
    assert total_bytes([]) == 0
