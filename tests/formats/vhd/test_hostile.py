"""Streams that lie: a FormatError and nothing else, and little memory."""

import struct
import tracemalloc
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd import VhdLayout, VhdWriter, layout_reader, vhd_reader
from xo_warmig.formats.vhd.checksum import seal
from xo_warmig.formats.vhd.footer import DiskType, footer_for, pack_footer
from xo_warmig.formats.vhd.header import Header, pack_header
from xo_warmig.formats.vhd.limits import MOST_ENTRIES, MOST_PADDING_BYTES, MOST_SIZE_BYTES, MOST_TABLE_OFFSET
from xo_warmig.formats.vhd.table import AllocatedBlocks

ID = UUID(int=3)
SIZE_BYTES = 10 * 4096
FOOTER_CHECKSUM, HEADER_CHECKSUM = 64, 36
WORDS = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 3, 4, 511, 2**31, 2**32 - 1]))


def good() -> bytes:
    writer = VhdWriter(SIZE_BYTES, [4, 0, 9], unique_id=ID, block_bytes=4096)
    return b"".join(writer.stream(lambda index: bytes([index]) * 4096))


def with_word(raw: bytes, offset: int, value: int, kind: str = ">I") -> bytes:
    """A field overwritten, and the checksums of footer and header made right again."""
    changed = bytearray(raw)
    struct.pack_into(kind, changed, offset, value)
    footer = seal(bytes(changed[:512]), FOOTER_CHECKSUM)
    header = seal(bytes(changed[512:1536]), HEADER_CHECKSUM)
    return footer + header + bytes(changed[1536:])


def read(raw: bytes) -> None:
    """All of it, and the end."""
    reader = vhd_reader()
    for value in reader.feed(raw):
        if not isinstance(value, VhdLayout):
            assert value.extent.end <= MOST_SIZE_BYTES
    _ = reader.result


@given(st.lists(st.tuples(st.integers(0, len(good()) - 1), st.integers(0, 255)), min_size=1, max_size=5))
@settings(deadline=None)
def test_changed_bytes_are_a_format_error_or_harmless(changes: list[tuple[int, int]]) -> None:
    """Nothing else is ever raised."""
    raw = bytearray(good())
    for offset, value in changes:
        raw[offset] = value
    try:
        read(bytes(raw))
    except FormatError:
        return


@given(st.integers(0, 1535), st.integers(1, 255))
def test_any_changed_byte_of_footer_or_header_is_seen(offset: int, flip: int) -> None:
    """The checksums cover all of both."""
    raw = bytearray(good())
    raw[offset] ^= flip
    with pytest.raises(FormatError):
        read(bytes(raw))


@given(st.lists(st.tuples(st.integers(0, 2200 // 4), WORDS), min_size=1, max_size=4))
@settings(deadline=None)
def test_lies_with_right_checksums_are_a_format_error_or_harmless(lies: list[tuple[int, int]]) -> None:
    """Offsets, sizes, counts and table entries of any value."""
    raw = good()
    for word, value in lies:
        raw = with_word(raw, word * 4, value)
    try:
        read(raw)
    except FormatError:
        return


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_noise_is_a_format_error(noise: bytes) -> None:
    """It is no VHD, or not all of one."""
    with pytest.raises(FormatError):
        read(noise)


@pytest.mark.parametrize(
    ("offset", "kind", "value", "why"),
    [
        (12, ">I", 0x00020000, "unknown version in its footer"),
        (16, ">Q", 0, "dynamic header where no stream"),
        (16, ">Q", MOST_TABLE_OFFSET + 1, "dynamic header where no stream"),
        (48, ">Q", 0, "disk size"),
        (48, ">Q", 1000, "disk size"),
        (48, ">Q", MOST_SIZE_BYTES + 512, "disk size"),
        (60, ">I", 2, "another type"),
        (60, ">I", 99, "another type"),
        (520, ">Q", 0, "second header"),
        (528, ">Q", 1535, "block table where no stream"),
        (528, ">Q", 2**63, "block table where no stream"),
        (536, ">I", 0x00020000, "unknown version in its dynamic header"),
        (540, ">I", MOST_ENTRIES + 1, "absurdly large"),
        (540, ">I", 9, "fewer table entries"),
        (544, ">I", 0, "block size"),
        (544, ">I", 5000, "block size"),
        (544, ">I", 2**31, "block size"),
        (2048, ">I", 0, "in front of its tables' end"),
        (2048, ">I", 4, "in front of its tables' end"),
        (2048, ">I", 6, "overlap"),
        (2052, ">I", 15, "overlap"),
    ],
)
def test_each_lie_is_named(offset: int, kind: str, value: int, why: str) -> None:
    """One field wrong, its checksum right."""
    with pytest.raises(FormatError, match=why) as caught:
        read(with_word(good(), offset, value, kind))
    assert caught.value.code == "BAD_VHD"
    assert caught.value.remedy


@pytest.mark.parametrize(("offset", "name"), [(100, "footer"), (1400, "dynamic header"), (FOOTER_CHECKSUM, "footer")])
def test_a_wrong_checksum_is_refused(offset: int, name: str) -> None:
    """Even where the field itself does not matter."""
    raw = bytearray(good())
    raw[offset] ^= 1
    with pytest.raises(FormatError, match=f"wrong checksum in its {name}"):
        read(bytes(raw))


def test_a_block_beyond_the_disk_is_refused(build: Callable[..., bytes], placed: Any) -> None:
    """A table may be longer than the disk, but not use it."""
    raw = build(4096, [placed(1, 0, b"\xff", b"")], entries=8)
    with pytest.raises(FormatError, match="beyond the end"):
        read(raw)


def test_the_last_footer_must_be_that_of_the_same_disk() -> None:
    """Two exports joined are none."""
    other = VhdWriter(SIZE_BYTES, [], unique_id=UUID(int=4), block_bytes=4096)
    with pytest.raises(FormatError, match="different disks"):
        read(good()[:-512] + other.tail)


def test_endless_padding_is_refused() -> None:
    """After 16 MiB without a footer."""
    reader = vhd_reader()
    reader.feed(good()[:-512])
    reader.feed(bytes(MOST_PADDING_BYTES - 512))
    with pytest.raises(FormatError, match="no footer behind"):
        reader.feed(bytes(512))


def peak_of(feed: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        feed()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_empty_table_takes_no_memory() -> None:
    """4 MiB of table in which nothing stands."""
    footer = footer_for(MOST_SIZE_BYTES, DiskType.DYNAMIC, ID)
    head = pack_footer(footer) + pack_header(Header(table_offset=1536, max_table_entries=MOST_ENTRIES))
    reader = layout_reader()
    piece = b"\xff" * 2**16

    def feed() -> None:
        reader.feed(head)
        while reader.wanted:
            reader.feed(piece[: reader.wanted])

    assert peak_of(feed) < 2**20
    assert reader.result.block_count == 0


def test_a_full_table_in_reverse_takes_bounded_memory() -> None:
    """Twenty-four bytes for each block, and a little."""
    count = 2**17
    allocated = AllocatedBlocks()

    def sort() -> None:
        for start in range(0, count, 2**14):
            sectors = range(8 * (count - start), 8 * (count - start - 2**14), -8)
            allocated.add_piece(struct.pack(f">{2**14}I", *sectors))
        indexes, ascending = allocated.in_file_order()
        assert list(indexes[:2]) == [count - 1, count - 2]
        assert list(ascending[:2]) == [8, 16]

    assert peak_of(sort) < 24 * count + 8 * 2**20


def test_a_distant_table_is_not_waited_for_in_memory() -> None:
    """63 MiB of gap before the table pass through."""
    footer = footer_for(SIZE_BYTES, DiskType.DYNAMIC, ID)
    header = Header(table_offset=63 * 2**20, max_table_entries=10, block_bytes=4096)
    reader = layout_reader()
    gap = bytes(2**18)

    def feed() -> None:
        reader.feed(pack_footer(footer) + pack_header(header))
        while reader.wanted > 512:
            reader.feed(gap[: reader.wanted - 512])

    assert peak_of(feed) < 2**20
