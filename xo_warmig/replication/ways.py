"""What a pass runs on: the two pools, what works on their streams, and the clock."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from xo_warmig.disks.admission import Admission
from xo_warmig.disks.block_check import check_blocks
from xo_warmig.disks.block_sample import Listing, list_hashed
from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.copy import CopyResult, Sinks, copy_extents, copy_vhd
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.read_back import Checked, Comparison, Wanted, check_vhd, compare_vhd
from xo_warmig.disks.reads import DiskLanes
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSource
from xo_warmig.disks.table import Listed, list_blocks, read_clusters, read_table
from xo_warmig.model.passes import SentPiece
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ports import SourcePool, TargetPool


class Copy(Protocol):
    """``disks.copy.copy_vhd``, or what stands in for it."""

    async def __call__(
        self,
        source: ByteSource,
        sinks: Sinks,
        order: CopyOrder,
        *,
        sent: SentLog,
        meter: Meter,
        admission: Admission,
    ) -> CopyResult: ...


class CopyExtents(Protocol):
    """``disks.copy.copy_extents``, or what stands in for it."""

    async def __call__(
        self,
        lanes: DiskLanes,
        extents: Extents,
        sinks: Sinks,
        order: CopyOrder,
        *,
        sent: SentLog,
        meter: Meter,
        admission: Admission,
    ) -> CopyResult: ...


class Compare(Protocol):
    """``disks.read_back.compare_vhd``, or what stands in for it."""

    async def __call__(
        self, source: ByteSource, pieces: Sequence[SentPiece], *, virtual_size_bytes: int, most_bytes: int
    ) -> Comparison: ...


class ListHashed(Protocol):
    """``disks.block_sample.list_hashed``, or what stands in for it."""

    async def __call__(self, table: BlockTable, *, seed: str | None) -> Listing: ...


class CheckVhd(Protocol):
    """``disks.read_back.check_vhd``, or what stands in for it."""

    async def __call__(
        self, source: ByteSource, wanted: Wanted, *, virtual_size_bytes: int, head_bytes: int | None = None
    ) -> Checked: ...


class CheckBlocks(Protocol):
    """``disks.block_check.check_blocks``, or what stands in for it."""

    async def __call__(
        self, lanes: DiskLanes, extents: Extents, table: BlockTable, *, admission: Admission
    ) -> Checked: ...


class ReadTable(Protocol):
    """``disks.table.read_table`` or ``read_clusters``, or what stands in for them."""

    async def __call__(self, source: ByteSource, size_bytes: int) -> bytes: ...


class ListBlocks(Protocol):
    """``disks.table.list_blocks``, or what stands in for it."""

    async def __call__(self, blocks: bytes, pending: bytes, size_bytes: int, *, gap_bytes: int) -> Listed: ...


class Streams(NamedTuple):
    """What works on open streams."""

    copy: Copy = copy_vhd
    copy_extents: CopyExtents = copy_extents
    read_table: ReadTable = read_table
    read_clusters: ReadTable = read_clusters
    list_blocks: ListBlocks = list_blocks
    compare: Compare = compare_vhd
    list_hashed: ListHashed = list_hashed
    check_vhd: CheckVhd = check_vhd
    check_blocks: CheckBlocks = check_blocks


class Ways(NamedTuple):
    """What a pass runs on."""

    source: SourcePool
    target: TargetPool
    clock: Clock
    streams: Streams = Streams()
