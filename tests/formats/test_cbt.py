"""Bitmaps of changed blocks: text, bits and extents."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.cbt import (
    BLOCK_BYTES,
    bitmap_length,
    changed_extents,
    decode_text,
    encode_text,
    from_extents,
)
from xo_warmig.model.extents import Extent, normalise
from xo_warmig.model.units import TIB

SIZES = st.integers(1, 40 * BLOCK_BYTES)


@pytest.mark.parametrize(
    ("size_bytes", "length"), [(0, 0), (1, 1), (8 * BLOCK_BYTES, 1), (8 * BLOCK_BYTES + 512, 2), (TIB, 2**21)]
)
def test_the_length_is_a_bit_per_block(size_bytes: int, length: int) -> None:
    """Rounded up to bytes."""
    assert bitmap_length(size_bytes) == length


def test_the_first_bit_is_the_most_significant_one() -> None:
    """As list_changed_blocks answers, not as the log on the SR has it."""
    assert list(changed_extents(b"\x80\x01", 16 * BLOCK_BYTES)) == [
        Extent(0, BLOCK_BYTES),
        Extent(15 * BLOCK_BYTES, BLOCK_BYTES),
    ]


@given(st.data(), SIZES)
def test_blocks_are_found_again_after_a_round_trip(data: st.DataObject, size_bytes: int) -> None:
    """Extents of whole blocks, clipped to the disk, survive bitmap, text and back."""
    blocks = -(-size_bytes // BLOCK_BYTES)
    changed = data.draw(st.sets(st.integers(0, blocks - 1)))
    extents = normalise(Extent(b * BLOCK_BYTES, min(BLOCK_BYTES, size_bytes - b * BLOCK_BYTES)) for b in changed)
    text = encode_text(from_extents(extents, size_bytes))
    assert list(changed_extents(decode_text(text, size_bytes), size_bytes)) == extents


def test_an_extent_marks_every_block_that_it_touches() -> None:
    """Even by a byte."""
    assert from_extents([Extent(BLOCK_BYTES - 1, 2)], 8 * BLOCK_BYTES) == b"\xc0"


def test_bits_beyond_the_disk_are_ignored() -> None:
    """The last byte has room for more blocks than the disk."""
    assert list(changed_extents(b"\xff", BLOCK_BYTES + 512)) == [Extent(0, BLOCK_BYTES + 512)]


def test_small_gaps_are_bridged_when_asked() -> None:
    """One block between two is bridged, two blocks are not."""
    extents = changed_extents(b"\xa4", 8 * BLOCK_BYTES, gap_bytes=BLOCK_BYTES)
    assert list(extents) == [Extent(0, 3 * BLOCK_BYTES), Extent(5 * BLOCK_BYTES, BLOCK_BYTES)]


def test_a_bitmap_of_another_disk_is_refused_at_once() -> None:
    """Before the first extent is asked for: a pass must not start with it."""
    with pytest.raises(FormatError, match="where a disk of"):
        changed_extents(b"\0\0", 8 * BLOCK_BYTES)


@given(st.one_of(st.text(max_size=12), st.binary(max_size=12).map(lambda raw: base64.b64encode(raw).decode())), SIZES)
def test_hostile_text_is_a_format_error_and_nothing_else(text: str, size_bytes: int) -> None:
    """What is accepted has the right length."""
    try:
        bitmap = decode_text(text, size_bytes)
    except FormatError:
        return
    assert len(bitmap) == bitmap_length(size_bytes)


def test_line_breaks_in_the_text_do_not_matter() -> None:
    """XML may have folded it."""
    assert decode_text("AA\n AB\n", 24 * BLOCK_BYTES) == b"\x00\x00\x01"


def test_sixteen_tebibytes_with_few_changes_are_quick() -> None:
    """32 MiB of bitmap, read by the run and not by the bit: bit by bit this would take minutes."""
    size_bytes = 16 * TIB
    extents = [Extent(n * TIB, 3 * BLOCK_BYTES) for n in range(16)]
    assert list(changed_extents(from_extents(extents, size_bytes), size_bytes)) == extents
