"""Reading a target disk back: whether it holds what was sent to it, where a copy wants to go on after a break (R22)."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

import xxhash

from xo_warmig.disks.streams import ByteSource
from xo_warmig.disks.take import Take
from xo_warmig.disks.threads import first_of, settled, start
from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd import BLOCK_BYTES, BlockPlace, VhdLayout, layout_reader, sector_extents
from xo_warmig.model.passes import SentPiece

_NOTHING = bytes(BLOCK_BYTES)


class Comparison(StrEnum):
    """``too_much``: the disk was not read, as what is to be compared lies behind more bytes than may be read for it."""

    EQUAL = "equal"
    DIFFERENT = "different"
    TOO_MUCH = "too_much"


async def compare_vhd(
    source: ByteSource, pieces: Sequence[SentPiece], *, virtual_size_bytes: int, most_bytes: int
) -> Comparison:
    """Read a full VHD export of a disk as far as the last of ``pieces``, and compare their hashes with what is there.

    Raises:
        FormatError: the stream is no VHD, or none of this disk. TransferError: the connection broke.
        asyncio.CancelledError: the stream is closed and the thread has ended.
    """
    reading = start("read-back", lambda: _compare(Take(source), pieces, virtual_size_bytes, most_bytes))
    try:
        return await first_of(reading, reading)
    finally:
        source.close()
        await settled(reading)


def _compare(take: Take, pieces: Sequence[SentPiece], virtual_size_bytes: int, most_bytes: int) -> Comparison:
    layout = take.parse(layout_reader())
    if layout.size_bytes != virtual_size_bytes or layout.differencing or layout.block_bytes != BLOCK_BYTES:
        raise FormatError("the target's export is not a full one of the disk that was written", code="WRONG_EXPORT")
    wanted = by_block(pieces)
    if _bytes_to(wanted, layout) > most_bytes:
        return Comparison.TOO_MUCH
    block = bytearray(BLOCK_BYTES)
    for place in layout.places():
        expected = wanted.pop(place.index, None)
        if expected is not None:
            _fill(take, layout, place, block)
            if not _holds(block, expected):
                return Comparison.DIFFERENT
        if not wanted:
            break
    # What the target does not store reads as zeros.
    return Comparison.EQUAL if all(_holds(_NOTHING, left) for left in wanted.values()) else Comparison.DIFFERENT


def by_block(pieces: Sequence[SentPiece]) -> dict[int, list[SentPiece]]:
    """The pieces, none of which crosses a block, by the number of their block."""
    found: dict[int, list[SentPiece]] = defaultdict(list)
    for piece in pieces:
        found[piece.offset // BLOCK_BYTES].append(piece)
    return dict(found)


def _bytes_to(wanted: dict[int, list[SentPiece]], layout: VhdLayout) -> int:
    """How much of blocks comes up to the last that is wanted."""
    count = 0
    for nth, index in enumerate(layout.indexes, 1):
        if index in wanted:
            count = nth
    return count * BLOCK_BYTES


def _fill(take: Take, layout: VhdLayout, place: BlockPlace, block: bytearray) -> None:
    take.skip_to(place.file_offset)
    bitmap = bytearray(place.bitmap_length)
    take.fill(memoryview(bitmap))
    on_disk = layout.disk_extent(place)
    block[:] = _NOTHING
    for offset, length in sector_extents(bitmap, on_disk.offset, on_disk.length):
        start_in_block = offset - on_disk.offset
        take.skip_to(place.data_offset + start_in_block)
        take.fill(memoryview(block)[start_in_block : start_in_block + length])


def _holds(block: bytes | bytearray, pieces: Sequence[SentPiece]) -> bool:
    view = memoryview(block)
    return all(_hash(view, piece) == piece.xxh3 for piece in pieces)


def _hash(view: memoryview, piece: SentPiece) -> int:
    first = piece.offset % BLOCK_BYTES
    return xxhash.xxh3_64_intdigest(view[first : first + piece.length])
