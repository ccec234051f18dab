"""Streams that lie: a FormatError and nothing else, and little memory."""

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.qcow2.exports import export_head
from xo_warmig.errors import FormatError
from xo_warmig.formats.qcow2 import MOST_SIZE_BYTES, layout_reader
from xo_warmig.model.units import GIB, KIB, MIB, TIB

CLUSTER = 4 * KIB
SIZE = 3 * 512 * CLUSTER + CLUSTER  # three L2 tables and one entry
STORED = [0, 5, 511, 600, 3 * 512]
GOOD = export_head(SIZE, STORED, cluster_bits=12)
L1 = 3 * CLUSTER
L2 = L1 + CLUSTER


def read(raw: bytes) -> None:
    reader = layout_reader()
    reader.feed(raw)
    layout = reader.result
    assert layout.size_bytes <= MOST_SIZE_BYTES
    for extent in layout.extents():
        assert extent.end <= layout.size_bytes


def changed(offset: int, kind: str, value: int) -> bytes:
    raw = bytearray(GOOD)
    struct.pack_into(kind, raw, offset, value)
    return bytes(raw)


@pytest.mark.parametrize(
    ("offset", "kind", "value", "words"),
    [
        (0, ">I", 0x48545450, "no header"),  # HTTP
        (4, ">I", 2, "unknown version"),
        (8, ">Q", 512, "a parent"),
        (20, ">I", 9, "cluster size"),
        (20, ">I", 63, "cluster size"),
        (24, ">Q", 0, "disk size"),
        (24, ">Q", MOST_SIZE_BYTES + 512, "disk size"),
        (24, ">Q", SIZE + 1, "disk size"),
        (24, ">Q", TIB, "does not fit its disk"),
        (24, ">Q", 2 * 512 * CLUSTER, "beyond the end of its disk"),
        (24, ">Q", SIZE - CLUSTER, "beyond the end of its disk"),
        (32, ">I", 1, "encryption"),
        (36, ">I", 2**31, "does not fit its disk"),
        (36, ">I", 0, "does not fit its disk"),
        (40, ">Q", 0, "where no stream can have it"),
        (40, ">Q", L1 + 8, "where no stream can have it"),
        (40, ">Q", GIB, "where no stream can have it"),
        (60, ">I", 1, "snapshots"),
        (72, ">Q", 1 << 2, "an external data file"),
        (72, ">Q", 1 << 4 | 1 << 40, "extended L2 entries, bit 40"),
        (100, ">I", 72, "header length"),
        (L1, ">Q", L2 | 1, "L1 entry"),
        (L1, ">Q", 1 << 63, "L1 entry"),
        (L1, ">Q", L2 + 512, "L1 entry"),
        (L1, ">Q", CLUSTER, "before the L1 table"),
        (L1, ">Q", L2 + CLUSTER, "overlap"),
        (L1, ">Q", 64 * GIB, "most of it"),
        (L2, ">Q", 1 << 62 | 1 << 20, "of a kind"),
        (L2, ">Q", 1 << 57 | 1 << 20, "of a kind"),
        (L2, ">Q", 1 << 20 | 2, "of a kind"),
        (L2, ">Q", 1 << 20 | 1 << 9, "of a kind"),
        (L2, ">Q", 1 << 63, "in use and nowhere"),
    ],
)  # fmt: skip
def test_each_lie_is_named(offset: int, kind: str, value: int, words: str) -> None:
    """With the code of the format, what was seen, and what to do."""
    with pytest.raises(FormatError, match=words) as error:
        read(changed(offset, kind, value))
    assert error.value.code == "BAD_QCOW2"
    assert error.value.evidence
    assert error.value.remedy


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_changed_bytes_are_a_format_error_or_harmless(changes: list[tuple[int, int]]) -> None:
    """Nothing else is ever raised."""
    raw = bytearray(GOOD)
    for offset, value in changes:
        raw[offset] = value
    try:
        read(bytes(raw))
    except FormatError:
        return


@given(st.integers(0, 26), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_header_with_any_word_changed(word: int, value: int) -> None:
    """Sizes, counts, offsets and flags of any value."""
    try:
        read(changed(word * 4, ">I", value))
    except FormatError:
        return


@given(st.integers(0, len(GOOD) - 1))
@settings(max_examples=30, deadline=None)
def test_a_cut_stream_is_no_shorter_list(length: int) -> None:
    """A pool that fails in the middle of its tables must not make a disk look empty."""
    with pytest.raises(FormatError) as error:
        read(GOOD[:length])
    assert error.value.code == "TRUNCATED"


def test_memory_follows_the_disk_and_not_what_a_file_claims() -> None:
    """4 TiB take 8 MiB, a bit for each cluster, and that twice more for a moment."""
    raw = export_head(4 * TIB, [0, 4 * TIB // (64 * KIB) - 1])
    tracemalloc.start()
    try:
        read(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 8 * MIB + 4 * MIB
