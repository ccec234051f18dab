"""Reading blocks of a target disk back over its NBD connections, and comparing them with the table of what was sent."""

import asyncio
from collections.abc import Sequence

from xo_warmig.disks.block_hashes import hashes_of
from xo_warmig.disks.block_table import BlockTable
from xo_warmig.disks.budget import LEAST_PER_COPY, Share
from xo_warmig.disks.copy import admitted
from xo_warmig.disks.extent_reader import ExtentReading
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.order import CopyOrder
from xo_warmig.disks.pipe import Channel, Closed, Part, Piece
from xo_warmig.disks.read_back import Checked, Difference
from xo_warmig.disks.reads import DiskReader
from xo_warmig.disks.threads import first_of, settled, start
from xo_warmig.model.passes import HASHED_BYTES


async def check_blocks(
    readers: Sequence[DiskReader], extents: Extents, table: BlockTable, *, urgent: bool = False
) -> Checked:
    """Read ``extents``, whole blocks that the table knows, and compare their hashes until one differs.

    The connections are closed when this returns or raises.

    Args:
        urgent: a VM is down meanwhile.

    Raises:
        TransferError, FormatError: a connection broke, or serves another disk. asyncio.CancelledError: all threads have ended.
    """
    order = CopyOrder(virtual_size_bytes=table.size_bytes, differencing=False, skip_zeros=False, urgent=urgent)
    share = await admitted(order)
    checking = _Checking(readers, extents, table, order, share)
    try:
        return await checking.run()
    finally:
        try:
            await checking.stop()
        finally:
            share.leave()


class _Checking:
    """Two threads: one that reads, and one that compares."""

    def __init__(
        self, readers: Sequence[DiskReader], extents: Extents, table: BlockTable, order: CopyOrder, share: Share
    ) -> None:
        self._channel: Channel[Piece] = Channel(LEAST_PER_COPY - 2)
        self._reading = ExtentReading(readers, extents, order, self._channel, share, Meter())
        self._table = table
        self._share = share
        self._threads: list[asyncio.Future[None] | asyncio.Future[Checked]] = []

    async def run(self) -> Checked:
        reading = start("read-back-read", lambda: self._reading.run(lambda blocks: None))
        comparing = start("read-back-compare", self._compare)
        self._threads = [reading, comparing]
        try:
            await asyncio.wait(self._threads, return_when=asyncio.FIRST_COMPLETED)
            if comparing.done() and not isinstance(comparing.exception(), Closed):
                return comparing.result()
            return await first_of(comparing, reading)
        except Closed:
            reading.result()
            raise

    async def stop(self) -> None:
        """Close the connections, and see both threads end and all buffers given back."""
        self._reading.close()
        for piece in self._channel.break_off():
            self._share.give_back(piece.buffer)
        await settled(*self._threads)

    def _compare(self) -> Checked:
        blocks = read_bytes = 0
        while (piece := self._channel.get()) is not None:
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
