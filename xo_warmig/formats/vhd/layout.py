"""Where everything is in the stream of a VHD: the plan by which it can be read straight into buffers, without a parser on the way."""

from collections.abc import Iterator

import msgspec

from xo_warmig.formats.vhd.footer import DiskType, Footer
from xo_warmig.formats.vhd.header import Header
from xo_warmig.formats.vhd.limits import FOOTER_BYTES, SECTOR_BYTES, bitmap_length
from xo_warmig.formats.vhd.refusal import refused
from xo_warmig.formats.vhd.table import AllocatedBlocks, Numbers
from xo_warmig.model.extents import Extent


class BlockPlace(msgspec.Struct, frozen=True):
    """A block in the file: its sector bitmap at ``file_offset``, its data right behind. Offsets and lengths in bytes."""

    index: int
    file_offset: int
    bitmap_length: int
    data_length: int

    @property
    def data_offset(self) -> int:
        return self.file_offset + self.bitmap_length

    @property
    def end(self) -> int:
        return self.file_offset + self.bitmap_length + self.data_length


class VhdLayout(msgspec.Struct, frozen=True, kw_only=True):
    """A checked VHD: no two blocks overlap, and all lie behind ``table_end`` and within the disk. Eight bytes per block."""

    footer: Footer
    header: Header
    table_end: int
    indexes: Numbers  # of the blocks, in file order
    sectors: Numbers  # where they are, ascending

    @property
    def size_bytes(self) -> int:
        """The disk's virtual size."""
        return self.footer.current_size_bytes

    @property
    def differencing(self) -> bool:
        return self.footer.disk_type is DiskType.DIFFERENCING

    @property
    def block_bytes(self) -> int:
        return self.header.block_bytes

    @property
    def block_count(self) -> int:
        """How many blocks the stream brings."""
        return len(self.indexes)

    @property
    def data_bytes(self) -> int:
        """How many bytes of blocks the stream brings, bitmaps not counted."""
        return self.block_count * self.block_bytes

    @property
    def blocks_end(self) -> int:
        """Where in the file the last block ends, or the table when there is no block."""
        if not self.sectors:
            return self.table_end
        return self.sectors[-1] * SECTOR_BYTES + bitmap_length(self.block_bytes) + self.block_bytes

    def places(self) -> Iterator[BlockPlace]:
        """The blocks, in the order in which the stream brings them; what lies between them is to be skipped."""
        bitmap, data = bitmap_length(self.block_bytes), self.block_bytes
        for index, sector in zip(self.indexes, self.sectors, strict=True):
            yield BlockPlace(index, sector * SECTOR_BYTES, bitmap, data)

    def disk_extent(self, place: BlockPlace) -> Extent:
        """The part of the disk that the block covers; the last one of a disk may be shorter than its data in the file."""
        offset = place.index * self.block_bytes
        return Extent(offset, min(self.block_bytes, self.size_bytes - offset))


def stream_length(layout: VhdLayout) -> int:
    """The bytes of the whole stream, from the first footer to the last.

    Exact when the last footer stands right behind the last block, as in every stream of XAPI's and every file of qemu-img's.
    """
    return layout.blocks_end + FOOTER_BYTES


def layout_of(footer: Footer, header: Header, table_end: int, allocated: AllocatedBlocks) -> VhdLayout:
    """The layout that a file's tables describe.

    Raises:
        FormatError: blocks overlap each other or the tables, or are no part of the disk.
    """
    on_disk = -(-footer.current_size_bytes // header.block_bytes)
    if header.max_table_entries < on_disk:
        raise refused("fewer table entries than its disk has blocks", entries=header.max_table_entries, blocks=on_disk)
    if allocated.indexes and allocated.indexes[-1] >= on_disk:
        raise refused("a block beyond the end of its disk", index=allocated.indexes[-1], blocks=on_disk)
    indexes, sectors = allocated.in_file_order()
    _check_places(sectors, table_end, header.block_bytes)
    return VhdLayout(footer=footer, header=header, table_end=table_end, indexes=indexes, sectors=sectors)


def _check_places(sectors: Numbers, table_end: int, block_bytes: int) -> None:
    if not sectors:
        return
    if sectors[0] * SECTOR_BYTES < table_end:
        raise refused("a block in front of its tables' end", sector=sectors[0], table_end=table_end)
    least_distance = (bitmap_length(block_bytes) + block_bytes) // SECTOR_BYTES
    previous = sectors[0] - least_distance
    for sector in sectors:
        if sector - previous < least_distance:
            raise refused("two blocks that overlap", sector=sector, previous_sector=previous)
        previous = sector
