"""The block table (BAT) of a VHD: for each block of the disk the sector of the file where it is, or that it is not there."""

import heapq
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from xo_warmig.formats.vhd.limits import UNALLOCATED, round_up
from xo_warmig.model.units import KIB

ENTRY_BYTES = 4
PIECE_BYTES = 64 * KIB  # a table is read in pieces, so that an empty one costs no memory

Numbers: TypeAlias = "array[int]"
"""Unsigned numbers, eight or four bytes each."""

_RUN = 64 * KIB
_EMPTY_PIECE = b"\xff" * PIECE_BYTES


def table_length(entries: int) -> int:
    """The bytes of a table of ``entries``, with its padding to sectors."""
    return round_up(entries * ENTRY_BYTES)


def pack_table(entries: int, indexes: Sequence[int], first_sector: int, sectors_per_block: int) -> bytes:
    """The table of a file whose blocks ``indexes`` stand one after the other from ``first_sector`` on, padded with ones."""
    table: Numbers = array("I", b"\xff" * table_length(entries))
    for place, index in enumerate(indexes):
        table[index] = first_sector + place * sectors_per_block
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()


class AllocatedBlocks:
    """What a table says, without its empty entries: block indexes and the sectors where they are."""

    def __init__(self) -> None:
        self.indexes: Numbers = array("I")
        self.sectors: Numbers = array("I")
        self._next_index = 0

    def add_piece(self, piece: bytes) -> None:
        """The next bytes of the table; whole entries."""
        first = self._next_index
        self._next_index += len(piece) // ENTRY_BYTES
        if _EMPTY_PIECE.startswith(piece):
            return
        entries: Numbers = array("I", piece)
        if sys.byteorder == "little":
            entries.byteswap()
        for index, sector in enumerate(entries, first):
            if sector != UNALLOCATED:
                self.indexes.append(index)
                self.sectors.append(sector)

    def in_file_order(self) -> tuple[Numbers, Numbers]:
        """Indexes and sectors by ascending sector, as a stream brings the blocks."""
        count = len(self.sectors)
        if all(self.sectors[i] < self.sectors[i + 1] for i in range(count - 1)):
            return self.indexes, self.sectors
        indexes: Numbers = array("I")
        sectors: Numbers = array("I")
        for key in heapq.merge(*self._sorted_runs()):
            indexes.append(key & 0xFFFFFFFF)
            sectors.append(key >> 32)
        return indexes, sectors

    def _sorted_runs(self) -> Iterator[Numbers]:
        """Sector and index in one number each, sorted a run at a time: lists of Python's numbers would take five times the memory."""
        for start in range(0, len(self.sectors), _RUN):
            end = start + _RUN
            pairs = zip(self.sectors[start:end], self.indexes[start:end], strict=True)
            yield array("Q", sorted(sector << 32 | index for sector, index in pairs))
