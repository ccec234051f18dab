"""Which blocks of a disk its source stores: the head of a VHD export, which is not read any further."""

from xo_warmig.disks.blocks import blocks_of
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.streams import ByteSource
from xo_warmig.disks.take import Take
from xo_warmig.disks.threads import first_of, settled, start
from xo_warmig.errors import FormatError
from xo_warmig.formats.bitmaps import set_runs
from xo_warmig.formats.vhd import BLOCK_BYTES, layout_reader
from xo_warmig.model.extents import Extent, clip


async def read_table(source: ByteSource, size_bytes: int) -> bytes:
    """The list of 2 MiB blocks (see ``disks.blocks``) of a full VHD export. The stream is closed when this returns or raises.

    Raises:
        FormatError: the stream is no full export of such a disk. TransferError: the connection broke.
        asyncio.CancelledError: the thread has ended.
    """
    reading = start("read-table", lambda: _table(Take(source), size_bytes))
    try:
        return await first_of(reading, reading)
    finally:
        source.close()
        await settled(reading)


def _table(take: Take, size_bytes: int) -> bytes:
    layout = take.parse(layout_reader())
    if layout.size_bytes != size_bytes or layout.differencing:
        raise FormatError(
            "the source's export is not a full one of the disk that was planned",
            code="WRONG_EXPORT",
            evidence={"actual": layout.size_bytes, "expected": size_bytes, "differencing": layout.differencing},
        )
    return blocks_of(layout)


def block_extents(blocks: bytes, pending: bytes, size_bytes: int) -> Extents:
    """The extents of the blocks in either list."""
    length = max(len(blocks), len(pending))
    both = int.from_bytes(blocks.ljust(length, b"\0"), "big") | int.from_bytes(pending.ljust(length, b"\0"), "big")
    wanted = both.to_bytes(length, "big")
    return lambda: clip(
        (Extent(first * BLOCK_BYTES, count * BLOCK_BYTES) for first, count in set_runs(wanted)), size_bytes
    )
