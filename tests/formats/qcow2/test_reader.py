"""The tables of an export become a list of clusters."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.qcow2.exports import export_head
from xo_warmig.errors import FormatError
from xo_warmig.formats.bitmaps import Run, with_bits_set
from xo_warmig.formats.qcow2 import QcowLayout, layout_reader
from xo_warmig.model.extents import Extent, normalise
from xo_warmig.model.units import KIB, MIB, TIB

CLUSTER = 64 * KIB
PER_TABLE = CLUSTER // 8


def layout_of(raw: bytes, piece_bytes: int = 1 << 30) -> QcowLayout:
    reader = layout_reader()
    for at in range(0, len(raw), piece_bytes):
        reader.feed(raw[at : at + piece_bytes])
    return reader.result


def bits(count: int, stored: list[int]) -> bytes:
    return with_bits_set(-(-count // 8), [Run(index, 1) for index in stored])


def test_a_disk_that_no_vhd_can_hold() -> None:
    """6 TiB with data at its start, at 2 TiB, at 4 TiB and at its end: four L2 tables of twelve thousand."""
    size = 6 * TIB
    stored = [0, 2 * TIB // CLUSTER, 4 * TIB // CLUSTER, size // CLUSTER - 1]
    raw = export_head(size, stored)
    assert len(raw) < MIB
    found = layout_of(raw)
    assert (found.size_bytes, found.cluster_bytes) == (size, CLUSTER)
    assert list(found.extents()) == [Extent(index * CLUSTER, CLUSTER) for index in stored]
    assert len(found.stored) == size // CLUSTER // 8


def test_an_empty_disk_has_no_table() -> None:
    """But an L1 table, whose end is the end of the head."""
    found = layout_of(export_head(3 * TIB, []))
    assert list(found.extents()) == []
    assert found.stored == bytes(3 * TIB // CLUSTER // 8)


@given(st.sets(st.integers(0, 3 * PER_TABLE // 2 - 1), max_size=60), st.sampled_from([7, 4096, 1 << 30]))
@settings(max_examples=30, deadline=None)
def test_every_cluster_is_found_however_the_stream_is_cut(stored: set[int], piece_bytes: int) -> None:
    """And nothing else; the last table is full only in part."""
    count = 3 * PER_TABLE // 2
    raw = export_head(count * CLUSTER, stored)
    if piece_bytes == 7:
        raw = export_head(count * CLUSTER // 16, {index // 16 for index in stored}, cluster_bits=12)
        found = layout_of(raw, 4099)
        assert found.stored == bits(count, sorted({index // 16 for index in stored}))
        return
    assert layout_of(raw, piece_bytes).stored == bits(count, sorted(stored))


@pytest.mark.parametrize("cluster_bits", [12, 16, 17, 21])
def test_clusters_of_other_sizes(cluster_bits: int) -> None:
    """XAPI's tool knows them, though XAPI does not ask for them. The last one is cut where the disk ends."""
    cluster = 1 << cluster_bits
    count = cluster // 8 + 9
    size = count * cluster - 512
    stored = [*sorted(random.Random(cluster_bits).sample(range(count - 1), 7)), count - 1]
    found = layout_of(export_head(size, stored, cluster_bits=cluster_bits))
    wanted = [Extent(index * cluster, min(cluster, size - index * cluster)) for index in stored]
    assert list(found.extents()) == normalise(wanted)


def test_a_full_table_is_read_as_fast_as_an_empty_one() -> None:
    """512 MiB of disk each, of which a full 6 TiB has twelve thousand."""
    found = layout_of(export_head(2 * PER_TABLE * CLUSTER, range(2 * PER_TABLE)))
    assert found.stored == b"\xff" * (2 * PER_TABLE // 8)


def test_clusters_marked_as_zeros_are_not_stored() -> None:
    """Whether they have a place in the file or not."""
    raw = bytearray(export_head(PER_TABLE * CLUSTER, [0, 1, 2, 3]))
    table = len(raw) - CLUSTER
    raw[table + 8 + 7] |= 1
    raw[table + 16 : table + 24] = struct.pack(">Q", 1)
    assert layout_of(bytes(raw)).stored == bits(PER_TABLE, [0, 3])


def test_bytes_after_the_tables_are_left_alone() -> None:
    """They are the first cluster's."""
    reader = layout_reader()
    reader.feed(export_head(CLUSTER, [0]) + b"data")
    assert reader.unused == b"data"


def test_little_between_the_tables_is_passed_over_and_much_refused() -> None:
    """Else the whole export would have to be read to learn what is in it."""
    assert layout_of(export_head(CLUSTER, [0], gap=16)).stored == b"\x80"
    with pytest.raises(FormatError, match="most of it would have to be read"):
        layout_of(export_head(CLUSTER, [0], gap=1025))
