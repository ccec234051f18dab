"""One disk as its reader or writer sees it: bytes at offsets, with the chain behind it resolved block by block."""

import errno
import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from xo_warmig.errors import NoSuchObject
from xo_warmig.simulator.storage.blocks import BLOCK, BlockFile

if TYPE_CHECKING:
    from xo_warmig.simulator.storage.chains import ChainStore

_ZEROS = bytes(BLOCK)


class Disk:
    """An open disk. It follows its image through snapshots and merges, because it asks the store each time.

    What goes wrong is an OSError: EIO beyond the end or when the image is gone, ENOSPC, EROFS.
    """

    def __init__(self, store: "ChainStore", uuid: str, *, writable: bool) -> None:
        self.uuid = uuid
        self._store = store
        self._writable = writable
        self.written_bytes = 0  # since it was opened
        self._lent: set[BlockFile] = set()  # whose descriptors were handed out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lent.clear()

    @property
    def size_bytes(self) -> int:
        try:
            return self._store.virtual_size_bytes(self.uuid)
        except NoSuchObject as error:
            raise OSError(errno.EIO, str(error)) from error

    def segment(self, block: int) -> tuple[int, int] | None:
        """Descriptor and file offset of the whole block, for sendfile; None when it reads as zeros.

        The descriptor stays valid until the disk is closed.
        """
        file = self._store.holder(self.uuid, block)
        if file is None:
            return None
        self._lent.add(file)
        return file.fd, file.position(block)

    def pread(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``."""
        return b"".join(self._read_piece(*piece) for piece in self._pieces(offset, length))

    def readinto(self, offset: int, view: memoryview) -> None:
        """Fill ``view`` with the bytes from ``offset``."""
        done = 0
        for block, begin, length in self._pieces(offset, len(view)):
            part = view[done : done + length]
            file = self._store.holder(self.uuid, block)
            if file is None:
                part[:] = _ZEROS[:length]
            else:
                os.preadv(file.fd, [part], file.position(block) + begin)
            done += length

    def pwrite(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write ``data`` at ``offset``."""
        if not self._writable:
            raise OSError(errno.EROFS, "the disk was opened for reading")
        view, done = memoryview(data), 0
        for block, begin, length in self._pieces(offset, len(view)):
            with self.exclusive():
                self._write_piece(block, begin, view[done : done + length])
            done += length
        self.written_bytes += done

    def flush(self) -> None:
        """Nothing is held back: what was written is already where every reader looks."""

    def exclusive(self) -> threading.RLock:
        """Inside it no snapshot of the disk is taken, so that several writes are in it all or not at all."""
        return self._store.pen(self.uuid)

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        if offset < 0 or offset + length > self.size_bytes:
            raise OSError(errno.EIO, f"bytes {offset} to {offset + length} are beyond the end of the disk")
        end = offset + length
        while offset < end:
            block, begin = divmod(offset, BLOCK)
            piece = min(BLOCK - begin, end - offset)
            yield block, begin, piece
            offset += piece

    def _read_piece(self, block: int, begin: int, length: int) -> bytes:
        file = self._store.holder(self.uuid, block)
        if file is None:
            return _ZEROS[:length]
        return os.pread(file.fd, length, file.position(block) + begin)

    def _write_piece(self, block: int, begin: int, data: memoryview) -> None:
        own = self._store.files.get(self.uuid)
        if own is None:
            raise OSError(errno.EIO, f"no image {self.uuid}")
        self._store.logs.mark(self.uuid, block, begin, len(data))  # before the bytes: a change is never missed
        if block in own.blocks:
            own.write(block, begin, data)
            return
        self._store.grow(self.uuid, 1)
        if len(data) == BLOCK:
            own.write(block, 0, data)
            own.mark(block)
            return
        below = self._store.holder(self.uuid, block)
        if below is not None:
            own.copy_block(block, below)
        else:
            own.mark(
                block
            )  # before the bytes: what a killed process leaves in an unmarked block must not come to light
        own.write(block, begin, data)
