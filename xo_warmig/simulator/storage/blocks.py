"""One image file: 2 MiB blocks in a sparse file, and a byte for each that says whether it is here. Knows nothing of chains."""

import errno
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

BLOCK = 2 * 1024 * 1024
MOST_DEPTH = 30  # SM refuses to snapshot a longer chain
MOST_BLOCKS = 1 << 23  # 16 TiB, the most that SM gives a disk
_MAP_BYTES = MOST_BLOCKS  # a byte a block, in front of the data
_NO_END = 1 << 62
_BLOCK_COST = BLOCK + 4096  # VHD pads a block's sector bitmap to a page


def image_bytes(virtual_size_bytes: int, blocks: int) -> int:
    """What a VHD with so many blocks takes on a file SR: header, allocation table, its bitmap, then the blocks."""
    entries = -(-virtual_size_bytes // BLOCK)
    table = -(-4 * entries // 512) * 512
    overhead = 3 * 1024 + table + -(-entries // 8)
    return -(-overhead // 4096) * 4096 + blocks * _BLOCK_COST


def growth_bytes(blocks: int) -> int:
    """What so many new blocks take of the repository."""
    return blocks * _BLOCK_COST


class BlockFile:
    """Blocks of one image. The file is opened when it is first needed and closed when nobody refers to this object any more.

    So a reader that holds it may go on reading after the collector has merged the image into another and unlinked it.
    Whatever was written is in the page cache, hence survives the end of the process, however it ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._opening = threading.Lock()
        self.blocks: set[int] = _allocated(path) if path.exists() else set()

    @property
    def fd(self) -> int:
        """The open file. Valid as long as this object is referred to."""
        if self._fd is None:
            with self._opening:
                if self._fd is None:
                    fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    weakref.finalize(self, os.close, fd)
                    self._fd = fd
        return self._fd

    @staticmethod
    def position(block: int) -> int:
        """Where in the file the block begins."""
        return _MAP_BYTES + block * BLOCK

    def mark(self, block: int) -> None:
        """The block is here from now on, all of it: the file does not end inside."""
        end = self.position(block + 1)
        if os.fstat(self.fd).st_size < end:
            os.ftruncate(self.fd, end)
        os.pwrite(self.fd, b"\x01", block)
        self.blocks.add(block)

    def write(self, block: int, begin: int, data: memoryview | bytes) -> None:
        """Write inside one block."""
        view, at = memoryview(data), self.position(block) + begin
        while view:
            written = os.pwrite(self.fd, view, at)
            view, at = view[written:], at + written

    def copy_block(self, block: int, other: "BlockFile") -> None:
        """Take a whole block from another file; it is marked after its bytes are in place."""
        self.write(block, 0, os.pread(other.fd, BLOCK, other.position(block)))
        self.mark(block)

    def unlink(self) -> None:
        """Remove the name; readers that hold the file keep its bytes."""
        self.path.unlink(missing_ok=True)


def _allocated(path: Path) -> set[int]:
    found: set[int] = set()
    with path.open("rb") as file:
        for begin, end in data_ranges(file.fileno(), end=_MAP_BYTES):
            marks = os.pread(file.fileno(), end - begin, begin)
            at = marks.find(1)
            while at >= 0:
                found.add(begin + at)
                at = marks.find(1, at + 1)
    return found


def data_ranges(fd: int, begin: int = 0, end: int = _NO_END) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch of the file, or of this part of it, that is no hole."""
    while begin < end:
        try:
            data = os.lseek(fd, begin, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if data >= end:
            return
        begin = os.lseek(fd, data, os.SEEK_HOLE)
        yield data, min(begin, end)
