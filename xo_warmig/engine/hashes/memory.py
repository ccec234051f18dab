"""Tables that are forgotten with the process."""

from array import array
from collections.abc import Collection

from xo_warmig.disks.block_hashes import NOT_WRITTEN
from xo_warmig.model.passes import HASHED_BYTES


class MemoryTable:
    """Fits ``BlockTable``."""

    def __init__(self, size_bytes: int, begun_at: int = 0) -> None:
        self.size_bytes = size_bytes
        self.begun_at = begun_at
        self._entries: dict[int, int] = {}

    def put(self, first: int, entries: "array[int]") -> None:
        """See ``BlockTable``."""
        self._entries.update(enumerate(entries, first))

    def get(self, first: int, count: int) -> "array[int]":
        """See ``BlockTable``."""
        return array("Q", [self._entries.get(block, NOT_WRITTEN) for block in range(first, first + count)])

    def cut(self, offset: int) -> None:
        """See ``BlockTable``."""
        self._entries = {block: each for block, each in self._entries.items() if block * HASHED_BYTES < offset}

    async def sync(self) -> None:
        """There is nothing to be made durable."""

    def close(self) -> None:
        """There is nothing to be closed."""


class MemoryTables:
    """Fits ``Tables``."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[str, MemoryTable]] = {}

    def open(self, vdi: str, run: str, *, size_bytes: int, begun_at: int) -> MemoryTable:
        """See ``Tables``."""
        known, table = self._tables.get(vdi, ("", None))
        if table is None or known != run or table.size_bytes != size_bytes:
            table = MemoryTable(size_bytes, begun_at)
            self._tables[vdi] = run, table
        return table

    def move(self, vdi: str, other: str) -> None:
        """See ``Tables``."""
        if vdi in self._tables:
            self._tables[other] = self._tables.pop(vdi)

    def keep_only(self, vdis: Collection[str]) -> None:
        """See ``Tables``."""
        self._tables = {vdi: each for vdi, each in self._tables.items() if vdi in vdis}
