"""What a pass runs on: the two pools, the copy between their streams, and the clock."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from xo_warmig.disks.copy import CopyResult, Sinks
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.read_back import Comparison, compare_vhd
from xo_warmig.disks.sent import SentLog
from xo_warmig.disks.streams import ByteSource
from xo_warmig.model.passes import SentPiece
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ports import SourcePool, TargetPool


class Copy(Protocol):
    """``disks.copy.copy_vhd``, or what stands in for it."""

    async def __call__(
        self, source: ByteSource, sinks: Sinks, order: CopyOrder, *, sent: SentLog, meter: Meter
    ) -> CopyResult: ...


class Compare(Protocol):
    """``disks.read_back.compare_vhd``, or what stands in for it."""

    async def __call__(
        self, source: ByteSource, pieces: Sequence[SentPiece], *, virtual_size_bytes: int, most_bytes: int
    ) -> Comparison: ...


class Ways(NamedTuple):
    """What a pass runs on."""

    source: SourcePool
    target: TargetPool
    copy: Copy
    clock: Clock
    compare: Compare = compare_vhd
