"""What the heads of exports and bitmaps come to as lists."""

import pytest

from tests.disks.memory import MemorySource
from tests.formats.qcow2.exports import export_head
from xo_warmig.disks.table import blocks_listed, list_blocks, read_clusters
from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.cbt import changed_extents, from_extents
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import GIB, KIB, MIB

CLUSTER = 64 * KIB


async def clusters(raw: bytes, size_bytes: int) -> list[Extent]:
    return list(changed_extents(await read_clusters(MemorySource(raw), size_bytes), size_bytes))


async def test_a_qcow2_head_is_a_list_of_64_kib_blocks() -> None:
    """Whatever its clusters are."""
    size = 3 * GIB
    stored = [0, 1, 20_000, size // CLUSTER - 1]
    wanted = [Extent(0, 2 * CLUSTER), Extent(20_000 * CLUSTER, CLUSTER), Extent(size - CLUSTER, CLUSTER)]
    assert await clusters(export_head(size, stored), size) == wanted
    assert await clusters(export_head(size, [3], cluster_bits=17), size) == [Extent(6 * CLUSTER, 2 * CLUSTER)]
    assert await clusters(export_head(64 * MIB, [3], cluster_bits=12), 64 * MIB) == [Extent(0, CLUSTER)]


async def test_a_last_cluster_that_is_cut_is_always_on_the_list() -> None:
    """xapi's tool rounds what qemu-img maps down to whole clusters, and so never exports it."""
    size = 10 * CLUSTER + 512
    assert await clusters(export_head(size, [0]), size) == [Extent(0, CLUSTER), Extent(10 * CLUSTER, 512)]


async def test_an_export_of_another_disk_is_refused() -> None:
    """And one that breaks off."""
    raw = export_head(GIB, [0])
    with pytest.raises(FormatError) as error:
        await clusters(raw, 2 * GIB)
    assert error.value.code == "WRONG_EXPORT"
    with pytest.raises(TransferError):
        await clusters(raw[:-1], GIB)


async def test_a_bitmap_and_pending_blocks_are_one_list() -> None:
    """With what about is read, gaps not counted."""
    size = 5 * MIB + 512
    bitmap = from_extents([Extent(0, 1), Extent(2 * CLUSTER, 1), Extent(5 * MIB, 512)], size)
    found = blocks_listed(bitmap, b"\x40", size, gap_bytes=CLUSTER)
    assert list(found.extents()) == [Extent(0, 3 * CLUSTER), Extent(2 * MIB, 2 * MIB), Extent(5 * MIB, 512)]
    assert found.total_bytes == 3 * CLUSTER + 2 * MIB
    again = await list_blocks(bitmap, b"\x40", size, gap_bytes=CLUSTER)
    assert list(again.extents()) == list(found.extents())
    assert blocks_listed(bytes(len(bitmap)), b"", size, gap_bytes=0).total_bytes == 0
