"""How extents are packed into buffers."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xo_warmig.disks.blocks import whole_disk
from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.disks.loads import Load, loads, survey, whole_sectors
from xo_warmig.disks.order import CopyOrder
from xo_warmig.formats.vhd import BLOCK_BYTES
from xo_warmig.model.extents import Extent, normalise
from xo_warmig.model.units import KIB, MIB

SIZE = 16 * MIB
GRANULE = 64 * KIB


def order(start_offset: int = 0, *, zero_unallocated: bool = False) -> CopyOrder:
    return CopyOrder(SIZE, False, False, zero_unallocated=zero_unallocated, start_offset=start_offset)


EXTENTS = st.lists(
    st.builds(lambda first, count: Extent(first * GRANULE, count * GRANULE), st.integers(0, 260), st.integers(1, 60)),
    max_size=12,
).map(normalise)
STARTS = st.integers(0, 256).map(lambda granule: granule * GRANULE)


def as_extents(packed: list[Load], *, stored: bool) -> list[Extent]:
    return normalise(Extent(p.offset, p.length) for load in packed if load.stored is stored for p in load.parts)


def clipped(extents: list[Extent], start: int) -> list[Extent]:
    return normalise(
        Extent(max(e.offset, start), min(e.end, SIZE) - max(e.offset, start)) for e in extents if e.offset < SIZE
    )


@given(EXTENTS, STARTS, st.booleans())
@settings(max_examples=60)
def test_every_byte_once_in_order(extents: list[Extent], start: int, zeros: bool) -> None:
    """The extents from the start on, the gaps where they are to be zeroed, and nothing else."""
    packed = list(loads(extents, order(start, zero_unallocated=zeros)))
    assert as_extents(packed, stored=True) == clipped(extents, start)
    gaps = as_extents(packed, stored=False)
    assert normalise([*as_extents(packed, stored=True), *gaps]) == (
        clipped([Extent(0, SIZE)], start) if zeros else clipped(extents, start)
    )
    parts = [part for load in packed for part in load.parts]
    assert all(one.end <= other.offset for one, other in itertools.pairwise(parts))
    assert all(part.offset // BLOCK_BYTES == (part.end - 1) // BLOCK_BYTES for part in parts)


@given(EXTENTS, STARTS)
@settings(max_examples=40)
def test_buffers_are_filled_without_holes(extents: list[Extent], start: int) -> None:
    """Each but the last to its end, however scattered the extents are."""
    packed = list(loads(extents, order(start)))
    for load in packed:
        at = 0
        for part in load.parts:
            assert part.start == at
            at += part.length
        assert at == load.length_bytes <= BUFFER_BYTES
    assert all(load.length_bytes == BUFFER_BYTES for load in packed[:-1])


def test_a_whole_disk_is_read_in_its_blocks() -> None:
    """Which is how it is written best."""
    packed = list(loads([Extent(0, SIZE)], order()))
    assert [load.parts for load in packed] == [[(at, 0, BLOCK_BYTES)] for at in range(0, SIZE, BLOCK_BYTES)]


@given(EXTENTS, STARTS)
@settings(max_examples=40)
def test_the_survey_counts_what_is_listed(extents: list[Extent], start: int) -> None:
    """All of it, what was copied before included."""
    found = survey(extents, order(start))
    every = clipped(extents, 0)
    assert found.total_bytes == sum(extent.length for extent in every)
    assert found.total_bytes - found.below_bytes == sum(extent.length for extent in clipped(extents, start))
    bits = f"{int.from_bytes(found.blocks, 'big'):08b}".rjust(8, "0")
    for block in range(SIZE // BLOCK_BYTES):
        touched = any(e.offset < (block + 1) * BLOCK_BYTES and e.end > block * BLOCK_BYTES for e in every)
        assert bits[block] == "01"[touched]
    assert survey(extents, order(start, zero_unallocated=True)).blocks == whole_disk(SIZE)


def test_only_whole_sectors_are_read_and_each_once() -> None:
    """Widened, clipped to the disk, and never one that was read for the extent before."""
    found = list(whole_sectors([Extent(100, 500), Extent(700, 0), Extent(800, 10), Extent(SIZE - 1, 999)], SIZE))
    assert found == [Extent(0, 1024), Extent(SIZE - 512, 512)]


@pytest.mark.parametrize("later", [Extent(0, 512), Extent(1000, 512)])
def test_extents_that_do_not_ascend_are_refused(later: Extent) -> None:
    """How far a copy is would mean nothing."""
    with pytest.raises(ValueError, match="before its predecessor"):
        list(loads([Extent(512, 1024), later], order()))
