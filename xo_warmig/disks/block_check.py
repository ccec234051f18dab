"""Reading blocks of a target disk back over its NBD connections, and comparing them with the table of what was sent."""

from contextlib import closing

from xo_warmig.disks.admission import Admission
from xo_warmig.disks.block_hashes import hashes_of
from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.budget import Share
from xo_warmig.disks.extent_reader import ExtentReading
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Part
from xo_warmig.disks.read_back import Checked, Difference
from xo_warmig.disks.reads import DiskLanes
from xo_warmig.disks.threads import in_thread
from xo_warmig.model.passes import HASHED_BYTES


async def check_blocks(lanes: DiskLanes, extents: Extents, table: BlockTable, *, admission: Admission) -> Checked:
    """Read ``extents``, whole blocks that the table knows, and compare their hashes until one differs.

    The connections are closed when this returns or raises, and all buffers given back to the share of ``admission``.

    Raises:
        TransferError, FormatError: a connection broke, or serves another disk. asyncio.CancelledError: all threads have ended.
    """
    order = CopyOrder(virtual_size_bytes=table.size_bytes, differencing=False, skip_zeros=False)
    checking = _Checking(lanes, extents, table, order, await admission.enter())
    return await checking.run()


class _Checking:
    """One thread that compares what those of the connections read."""

    def __init__(self, lanes: DiskLanes, extents: Extents, table: BlockTable, order: CopyOrder, share: Share) -> None:
        self._reading = ExtentReading(lanes, extents, order, share, Meter())
        self._table = table
        self._share = share

    async def run(self) -> Checked:
        """All threads have ended, and all buffers were given back, when this returns or raises."""
        return await in_thread("read-back", self._compare, closing=self._reading.close)

    def _compare(self) -> Checked:
        blocks = read_bytes = 0
        self._reading.begin()
        with closing(self._reading.pieces()) as pieces:
            for piece in pieces:
                try:
                    for part in piece.parts:
                        blocks += -(-part.length // HASHED_BYTES)
                        read_bytes += part.length
                        difference = self._difference(part, memoryview(piece.buffer))
                        if difference is not None:
                            return Checked(blocks, read_bytes, difference)
                finally:
                    self._share.give_back(piece.buffer)
        return Checked(blocks, read_bytes)

    def _difference(self, part: Part, buffer: memoryview) -> Difference | None:
        found = hashes_of(buffer[part.start : part.start + part.length], part.offset)
        first = part.offset // HASHED_BYTES
        expected = self._table.get(first, len(found))
        if found == expected:
            return None
        nth = next(nth for nth, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
        offset = (first + nth) * HASHED_BYTES
        return Difference(offset, min(HASHED_BYTES, part.end - offset), expected[nth], found[nth])
