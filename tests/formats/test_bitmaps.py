"""Runs of set bits, against bits looked at one by one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.formats.bitmaps import Run, set_runs, with_bits_set

# Bytes as real bitmaps have them: mostly empty, mostly full, and some of each.
BITMAPS = st.lists(st.one_of(st.just(0), st.just(0xFF), st.integers(0, 255)), max_size=40).map(bytes)


def bits_of(bitmap: bytes) -> list[int]:
    return [i for i in range(len(bitmap) * 8) if bitmap[i // 8] >> (7 - i % 8) & 1]


@given(BITMAPS)
def test_the_runs_are_the_set_bits(bitmap: bytes) -> None:
    """Ascending, each as long as it can be, the most significant bit of byte 0 first."""
    runs = list(set_runs(bitmap))
    assert [bit for run in runs for bit in range(run.first, run.first + run.length)] == bits_of(bitmap)
    assert all(one.first + one.length < other.first for one, other in pairwise(runs))


@given(BITMAPS)
def test_a_bitmap_is_made_again_from_its_runs(bitmap: bytes) -> None:
    """Bit for bit."""
    assert with_bits_set(len(bitmap), set_runs(bitmap)) == bitmap


def test_what_is_passed_over_whole_changes_nothing() -> None:
    """Runs that begin, end and go on where pieces of zeros do."""
    runs = [Run(4096 * 8 - 1, 2), Run(3 * 4096 * 8, 4096 * 8), Run(6 * 4096 * 8 - 8, 8), Run(7 * 4096 * 8 + 5, 3)]
    assert list(set_runs(with_bits_set(8 * 4096 + 1, runs))) == runs


@given(st.binary(max_size=8), st.sampled_from([bytes, bytearray, memoryview]))
def test_every_kind_of_buffer_is_read(bitmap: bytes, kind: type) -> None:
    """A view into a receive buffer needs no copy."""
    assert list(set_runs(kind(bitmap))) == list(set_runs(bitmap))


def test_bits_beyond_the_end_are_left_out() -> None:
    """A run that reaches out of the bitmap is cut."""
    assert with_bits_set(2, [Run(12, 100), Run(200, 3)]) == b"\x00\x0f"
