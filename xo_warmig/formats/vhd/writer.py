"""Writing a VHD as a stream whose exact length is known before its first data byte, laid out as XAPI's exports are.

Footer, header, one empty sector, table, blocks, footer. Source: ocaml/libs/vhd/vhd_format/f.ml and ocaml/vhd-tool/src/impl.ml of xapi.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

from xo_warmig.errors import FormatError
from xo_warmig.formats.vhd.footer import DiskType, footer_for, pack_footer
from xo_warmig.formats.vhd.header import Parent, header_for, pack_header
from xo_warmig.formats.vhd.limits import (
    BLOCK_BYTES,
    FOOTER_BYTES,
    HEADER_BYTES,
    LEAST_BLOCK_BYTES,
    MOST_BLOCK_BYTES,
    MOST_ENTRIES,
    MOST_SIZE_BYTES,
    SECTOR_BYTES,
    bitmap_length,
)
from xo_warmig.formats.vhd.sectors import BITMAP_FULL
from xo_warmig.formats.vhd.table import Numbers, pack_table, table_length

TABLE_OFFSET = FOOTER_BYTES + HEADER_BYTES + SECTOR_BYTES


class VhdWriter:
    """The frame of one stream: ``head``, then for each of ``blocks`` its bitmap and its data, then ``tail``.

    Attributes:
        blocks: the indexes of the blocks, in the order in which their data must follow.
        stream_length: the exact bytes of the whole stream.
        block_length: the bytes of a block with its bitmap in front.
        bitmap_length: the bytes of that bitmap (512 for blocks of 2 MiB, for which ``BITMAP_FULL`` says that all is there).
        tail: the last 512 bytes.
    """

    def __init__(
        self,
        size_bytes: int,
        blocks: Iterable[int],
        *,
        unique_id: UUID,
        parent: Parent | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        """With a ``parent`` the stream is a differencing VHD.

        Raises:
            FormatError: the disk is too large for a VHD, or a block is not on it or named twice.
        """
        self.size_bytes = size_bytes
        self.block_bytes = block_bytes
        _check_sizes(size_bytes, block_bytes)
        self.entries = -(-size_bytes // block_bytes)
        self.blocks = _checked_blocks(blocks, self.entries)
        self.bitmap_length = bitmap_length(block_bytes)
        self.block_length = self.bitmap_length + block_bytes
        self.head_length = TABLE_OFFSET + table_length(self.entries)
        self.stream_length = self.head_length + len(self.blocks) * self.block_length + FOOTER_BYTES
        self._parent = parent
        disk_type = DiskType.DYNAMIC if parent is None else DiskType.DIFFERENCING
        self.tail = pack_footer(footer_for(size_bytes, disk_type, unique_id))

    def head(self) -> bytes:
        """Everything before the first block; 4 MiB for the largest disk."""
        header = pack_header(header_for(TABLE_OFFSET, self.entries, self.block_bytes, self._parent))
        first_sector = self.head_length // SECTOR_BYTES
        table = pack_table(self.entries, self.blocks, first_sector, self.block_length // SECTOR_BYTES)
        return self.tail + header + bytes(SECTOR_BYTES) + table

    def stream(
        self, read_block: Callable[[int], bytes], read_bitmap: Callable[[int], bytes] | None = None
    ) -> Iterator[bytes]:
        """The whole stream in pieces.

        Args:
            read_block: the data of the block of an index; the last block of a disk may be shorter and is filled with zeros.
            read_bitmap: its sector bitmap; without it every sector is said to be there.

        Raises:
            FormatError: a block or bitmap has another length than it must.
        """
        yield self.head()
        full = BITMAP_FULL if self.block_bytes == BLOCK_BYTES else b"\xff" * self.bitmap_length
        for index in self.blocks:
            bitmap = full if read_bitmap is None else read_bitmap(index)
            data = read_block(index)
            if len(bitmap) != self.bitmap_length or len(data) != self._length_on_disk(index):
                raise _refused("a block or bitmap of another length than the disk's", index=index, length=len(data))
            yield bitmap
            yield data
            if len(data) < self.block_bytes:
                yield bytes(self.block_bytes - len(data))
        yield self.tail

    def _length_on_disk(self, index: int) -> int:
        return min(self.block_bytes, self.size_bytes - index * self.block_bytes)


def _check_sizes(size_bytes: int, block_bytes: int) -> None:
    if not 0 < size_bytes <= MOST_SIZE_BYTES or size_bytes % SECTOR_BYTES:
        raise _refused("a size that is no multiple of 512 up to 2040 GiB", size_bytes=size_bytes)
    if block_bytes & (block_bytes - 1) or not LEAST_BLOCK_BYTES <= block_bytes <= MOST_BLOCK_BYTES:
        raise _refused("a block size that is no power of two or out of range", block_bytes=block_bytes)
    if -(-size_bytes // block_bytes) > MOST_ENTRIES:
        raise _refused("too many blocks", size_bytes=size_bytes, block_bytes=block_bytes)


def _checked_blocks(blocks: Iterable[int], entries: int) -> Numbers:
    seen = bytearray(entries)
    checked: Numbers = array("I")
    for index in blocks:
        if not 0 <= index < entries:
            raise _refused("a block beyond the end of its disk", index=index, blocks=entries)
        if seen[index]:
            raise _refused("a block twice", index=index)
        seen[index] = 1
        checked.append(index)
    return checked


def _refused(what: str, **evidence: int) -> FormatError:
    return FormatError(
        f"a VHD cannot be written with {what}",
        code="BAD_VHD",
        evidence=evidence,
        remedy="Copy a disk that a VHD cannot hold through XAPI's sparse stream.",
    )
