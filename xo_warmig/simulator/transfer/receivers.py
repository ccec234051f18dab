"""Putting a raw or sparse body on a disk, a buffer at a time, as vhd-tool serves it (ocaml/vhd-tool/src/impl.ml)."""

from collections import deque
from typing import NamedTuple

from xo_warmig.formats.sparse import HEADER_BYTES, parse_chunk_header
from xo_warmig.simulator.storage import BLOCK, Disk
from xo_warmig.simulator.transfer.wire import Inlet


class _Held(NamedTuple):
    """Data that have come and are not on the disk yet. ``begin`` is their place in the body."""

    begin: int
    offset: int
    data: memoryview


class Target:
    """A disk and the body that goes on it. One buffer serves the whole transfer.

    The last ``held_bytes`` of the body are kept from the disk, so that they can be lost; who gives them calls ``settle`` in the end.
    """

    def __init__(self, inlet: Inlet, disk: Disk, held_bytes: int = 0) -> None:
        self.inlet = inlet
        self.disk = disk
        self.written_bytes = 0
        self._buffer = memoryview(bytearray(BLOCK))
        self._held_bytes = held_bytes
        self._held: deque[_Held] = deque()

    def copy(self, offset: int, count: int) -> None:
        """The next ``count`` bytes of the body go to ``offset``, cut where the disk's blocks end."""
        while count:
            piece = self._buffer[: min(count, BLOCK - offset % BLOCK)]
            self.inlet.fill(piece)
            self.write(offset, piece)
            offset, count = offset + len(piece), count - len(piece)

    def read(self, count: int) -> memoryview:
        """The next bytes of the body, at most 2 MiB; good until the next read or copy."""
        piece = self._buffer[:count]
        self.inlet.fill(piece)
        return piece

    def write(self, offset: int, data: memoryview) -> None:
        """Errors are those of a device: EIO beyond its end, ENOSPC."""
        if not self._held_bytes:
            self._put(offset, data)
            return
        received = self.inlet.received_bytes
        self._held.append(_Held(received - len(data), offset, memoryview(bytes(data))))
        self._release(received - self._held_bytes)

    def settle(self, lost_bytes: int = 0) -> None:
        """What was held back goes on the disk, but for what lies within the last ``lost_bytes`` of the body."""
        self._release(self.inlet.received_bytes - lost_bytes)
        self._held.clear()

    def _release(self, end: int) -> None:
        """Write what came before this place of the body."""
        while self._held and self._held[0].begin < end:
            held = self._held.popleft()
            count = min(len(held.data), end - held.begin)
            self._put(held.offset, held.data[:count])
            if count < len(held.data):
                self._held.appendleft(_Held(end, held.offset + count, held.data[count:]))

    def _put(self, offset: int, data: memoryview) -> None:
        self.disk.pwrite(offset, data)
        self.written_bytes += len(data)


def receive_sparse(target: Target) -> None:
    """Chunks until the end marker. FormatError when one is unaligned or reaches beyond the disk."""
    header = bytearray(HEADER_BYTES)
    while True:
        target.inlet.fill(memoryview(header))
        chunk = parse_chunk_header(header, target.disk.size_bytes)
        if chunk is None:
            return
        target.copy(chunk.offset, chunk.length)


def receive_raw(target: Target, length_bytes: int | None) -> None:
    """As many bytes as the body has; without a length, as the disk has. Zeros are written like everything else."""
    target.copy(0, target.disk.size_bytes if length_bytes is None else length_bytes)
