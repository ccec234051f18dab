"""What keeps the tables of passes (``disks.block_table``)."""

from collections.abc import Collection
from typing import Protocol

from xo_warmig.disks.block_table import BlockTable


class Tables(Protocol):
    """By target disk, of which each has the table of one pass at a time. Raises WarmigError with code STATE_NOT_WRITABLE."""

    def open(self, vdi: str, run: str, *, size_bytes: int, begun_at: int) -> BlockTable:
        """The table of pass ``run`` of a disk, to be closed; empty where there was none of this very pass and size.

        Args:
            begun_at: what the pass has copied already, as a byte offset of the disk; an empty table does not tell of that.
        """
        ...

    def move(self, vdi: str, other: str) -> None:
        """The table of ``vdi`` is that of ``other`` from here on: its clone. Twice is once."""
        ...

    def keep_only(self, vdis: Collection[str]) -> None:
        """Remove those of all other disks."""
        ...
