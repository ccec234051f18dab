"""Reading streams that others could send: any order, gaps, partial bitmaps, and data that is cut anywhere."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd import (
    VhdLayout,
    VhdPiece,
    VhdWriter,
    layout_reader,
    sector_extents,
    stream_length,
    trailer_reader,
    vhd_reader,
)
from xo_warmig.formats.vhd.layout import BlockPlace
from xo_warmig.model.extents import Extent

BLOCK = 4096
SECTOR = 512
Disk = dict[int, bytes]  # sector number -> data


@st.composite
def images(draw: st.DrawFn) -> tuple[dict[str, Any], list[tuple[int, int, bytes, bytes]]]:
    """The arguments of ``build``, and its blocks as tuples."""
    sectors = draw(st.integers(1, 60))
    entries = -(-sectors * SECTOR // BLOCK)
    order = draw(st.lists(st.integers(0, entries - 1), unique=True))
    gaps = st.sampled_from([0, 0, SECTOR, 3584])
    bitmaps = st.one_of(st.just(b"\xff"), st.binary(min_size=1, max_size=1))
    blocks = [
        (index, draw(gaps), draw(bitmaps), bytes([draw(st.integers(0, 255))]) * (BLOCK - 1) + bytes([index]))
        for index in order
    ]
    shape = {
        "size_bytes": sectors * SECTOR,
        "header_gap": draw(gaps),
        "table_gap": draw(gaps),
        "padding": draw(gaps),
        "entries": entries + draw(st.integers(0, 200)),
    }
    return shape, blocks


def expected_disk(size_bytes: int, blocks: list[tuple[int, int, bytes, bytes]]) -> Disk:
    disk: Disk = {}
    for index, _, bitmap, data in blocks:
        for bit in range(BLOCK // SECTOR):
            sector = index * (BLOCK // SECTOR) + bit
            if bitmap[0] >> (7 - bit) & 1 and sector * SECTOR < size_bytes:
                disk[sector] = data[bit * SECTOR : (bit + 1) * SECTOR]
    return disk


def disk_of(pieces: list[VhdPiece]) -> Disk:
    disk: Disk = {}
    for extent, data in pieces:
        assert len(data) == extent.length
        for offset in range(0, extent.length, SECTOR):
            sector = (extent.offset + offset) // SECTOR
            assert sector not in disk
            disk[sector] = data[offset : offset + SECTOR]
    return disk


def pieces_of(values: list[VhdLayout | VhdPiece]) -> list[VhdPiece]:
    assert isinstance(values[0], VhdLayout)
    return [value for value in values if isinstance(value, VhdPiece)]


@given(images(), st.binary(max_size=30))
@settings(deadline=None)
def test_any_order_gaps_and_bitmaps_are_read(
    build: Callable[..., bytes], placed: Any, image: Any, trailing: bytes
) -> None:
    """Just the sectors whose bit is set and that are on the disk; what follows the last footer is left alone."""
    shape, blocks = image
    raw = build(blocks=[placed(*block) for block in blocks], **shape)
    reader = vhd_reader()
    values = reader.feed(raw + trailing)
    assert disk_of(pieces_of(values)) == expected_disk(shape["size_bytes"], blocks)
    assert reader.unused == trailing
    layout = values[0]
    assert isinstance(layout, VhdLayout)
    assert [place.index for place in layout.places()] == [block[0] for block in blocks]
    assert stream_length(layout) + shape["padding"] == len(raw)


@given(images(), st.data())
@settings(deadline=None)
def test_how_the_stream_is_cut_changes_nothing(
    build: Callable[..., bytes], placed: Any, image: Any, data: st.DataObject
) -> None:
    """Whole, in a few pieces, and just what is wanted: the same values."""
    shape, blocks = image
    raw = build(blocks=[placed(*block) for block in blocks], **shape)
    whole = vhd_reader().feed(raw)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    cut = vhd_reader()
    in_pieces = [v for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) for v in cut.feed(raw[start:end])]
    assert in_pieces == whole
    exact, position, values = vhd_reader(), 0, []
    while wanted := exact.wanted:
        values += exact.feed(raw[position : position + wanted])
        position += wanted
    assert (values, position) == (whole, len(raw))


def test_byte_by_byte_gives_the_same(build: Callable[..., bytes], placed: Any) -> None:
    """The finest cut of all."""
    raw = build(5 * BLOCK, [placed(3, 512, b"\xa5", b"three" * 800), placed(0, 0, b"\xff", b"zero" * 1000)])
    reader = vhd_reader()
    assert [value for byte in raw for value in reader.feed(bytes([byte]))] == vhd_reader().feed(raw)
    assert reader.done


@given(images())
@settings(deadline=None)
def test_the_plan_leads_to_the_same_bytes(build: Callable[..., bytes], placed: Any, image: Any) -> None:
    """Head by reader, blocks by place and bitmap, end by reader: as the copy loop does without copies."""
    shape, blocks = image
    raw = build(blocks=[placed(*block) for block in blocks], **shape)
    head = layout_reader()
    while wanted := head.wanted:
        head.feed(raw[head.position : head.position + wanted])
    layout, pieces = head.result, []
    assert head.position == layout.table_end
    for place in layout.places():
        block = layout.disk_extent(place)
        bitmap = raw[place.file_offset : place.data_offset]
        for extent in sector_extents(bitmap, block.offset, block.length):
            start = place.data_offset + extent.offset - block.offset
            pieces.append(VhdPiece(extent, raw[start : start + extent.length]))
    end = trailer_reader(layout)
    end.feed(raw[layout.blocks_end :])
    assert end.result == layout.footer
    assert disk_of(pieces) == expected_disk(shape["size_bytes"], blocks)


def test_a_place_says_where_the_block_is(unique_id: Any) -> None:
    """Offsets in the file, lengths of bitmap and data."""
    reader = layout_reader()
    reader.feed(VhdWriter(2**24, [7, 2], unique_id=unique_id).head())
    places = list(reader.result.places())
    assert places == [BlockPlace(7, 2560, 512, 2**21), BlockPlace(2, 2560 + 512 + 2**21, 512, 2**21)]
    assert (places[0].data_offset, places[0].end) == (3072, places[1].file_offset)
    assert (reader.result.data_bytes, reader.result.blocks_end) == (2**22, places[1].end)


def test_the_last_block_may_reach_beyond_the_disk(unique_id: Any) -> None:
    """Its data is in the file; only what is on the disk is given."""
    reader = vhd_reader()
    writer = VhdWriter(2**21 + 1024, [1], unique_id=unique_id)
    values = reader.feed(b"".join(writer.stream(lambda index: b"x" * 1024)))
    assert values[1:] == [VhdPiece(Extent(2**21, 1024), b"x" * 1024)]


def test_a_pool_that_fails_in_the_middle_is_seen_at_the_end(build: Callable[..., bytes], placed: Any) -> None:
    """XAPI writes its HTTP error into the body, at the cut: never taken for padding."""
    raw = build(BLOCK, [placed(0, 0, b"\xff", b"data")])
    reader = vhd_reader()
    with pytest.raises(FormatError, match="no footer behind"):
        reader.feed(raw[:-512] + b"HTTP/1.1 500 Internal Error\r\n".ljust(512))


def test_a_pool_that_fails_at_once_is_quoted() -> None:
    """The evidence has the beginning of what it said instead."""
    reader = vhd_reader()
    with pytest.raises(FormatError, match="no footer") as caught:
        reader.feed(b"HTTP/1.1 500 Internal Error\r\n".ljust(600))
    assert str(caught.value.evidence["found"]).startswith("HTTP/1.1 500 Internal Error")


def test_a_stream_that_ends_too_early_is_truncated(build: Callable[..., bytes], placed: Any) -> None:
    """Wherever it is cut, down to its last byte."""
    raw = build(BLOCK, [placed(0, 0, b"\xff", b"data")])
    for length in (0, 511, 1000, 1600, 3000, len(raw) - 1):
        reader = vhd_reader()
        reader.feed(raw[:length])
        with pytest.raises(FormatError) as caught:
            _ = reader.result
        assert caught.value.code == "TRUNCATED"
