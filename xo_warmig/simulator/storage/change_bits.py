"""Which 64 KiB blocks of a disk were written: the bits of one log, in mapped memory of a file, as tapdisk keeps them.

What is in mapped memory outlives the process, however it ends, but not the machine: bits are fresh until they are settled, and fresh
ones can be lost. The most significant bit of the first byte is the first block. Source: drivers/block-log.c of blktap.
"""

import mmap
import os
import struct
import threading
from pathlib import Path

from xo_warmig.simulator.storage.blocks import BLOCK, MOST_BLOCKS

GRAIN = 64 * 1024
"""Bytes for which a bit stands."""

_WORD = struct.Struct(">I")  # the bits of one block of 2 MiB
_BITS = BLOCK // GRAIN
_HALF_BYTES = MOST_BLOCKS * _WORD.size  # of the file: first the fresh bits, then the settled ones; it is sparse


def bitmap_bytes(size_bytes: int) -> int:
    """How many bytes the bits of a disk of that size take."""
    return -(-size_bytes // BLOCK) * _WORD.size


class ChangeBits:
    """The bits of one log. The file is made when the first bit is set. Safe to use from any thread; holds no other lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open: mmap.mmap | None = None

    def mark(self, block: int, begin: int, length: int) -> None:
        """Bytes within one block of 2 MiB are about to be written."""
        first, last = begin // GRAIN, (begin + length - 1) // GRAIN
        mask = ((2 << last - first) - 1) << (_BITS - 1 - last)
        with self._lock:
            bits, at = self._mapped(), block * _WORD.size
            (word,) = _WORD.unpack_from(bits, at)
            if word | mask != word:
                _WORD.pack_into(bits, at, word | mask)

    def settle(self, size_bytes: int) -> None:
        """Fresh bits of a disk of that size are safe from now on."""
        with self._lock:
            if self._is_empty():
                return
            bits, count = self._mapped(), bitmap_bytes(size_bytes)
            if (fresh := bits[:count]) != bytes(count):
                bits[_HALF_BYTES : _HALF_BYTES + count] = united(fresh, bits[_HALF_BYTES : _HALF_BYTES + count])
                bits[:count] = bytes(count)

    def lose(self, size_bytes: int) -> None:
        """The machine that had the disk is gone: so are the fresh bits."""
        with self._lock:
            if not self._is_empty():
                self._mapped()[: bitmap_bytes(size_bytes)] = bytes(bitmap_bytes(size_bytes))

    def read(self, size_bytes: int) -> bytes:
        """All bits, fresh and settled."""
        count = bitmap_bytes(size_bytes)
        with self._lock:
            if self._is_empty():
                return bytes(count)
            bits = self._mapped()
            return united(bits[:count], bits[_HALF_BYTES : _HALF_BYTES + count])

    def add(self, others: bytes) -> None:
        """Set these bits, too, and settle them."""
        with self._lock:
            bits, end = self._mapped(), _HALF_BYTES + len(others)
            bits[_HALF_BYTES:end] = united(others, bits[_HALF_BYTES:end])

    def unlink(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _is_empty(self) -> bool:
        return self._open is None and not self.path.exists()

    def _mapped(self) -> mmap.mmap:
        if self._open is None:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, 2 * _HALF_BYTES)
                self._open = mmap.mmap(fd, 2 * _HALF_BYTES)
            finally:
                os.close(fd)
        return self._open


def united(one: bytes, other: bytes) -> bytes:
    """Every bit that is set in one of the two; the shorter one is continued with zeros."""
    count = max(len(one), len(other))
    for empty, filled in ((one, other), (other, one)):
        if empty == bytes(len(empty)):  # as most are, and large ones take their time
            return filled.ljust(count, b"\0")
    numbers = (int.from_bytes(bits.ljust(count, b"\0")) for bits in (one, other))
    return (next(numbers) | next(numbers)).to_bytes(count)
