"""Tables in sparse files, one for each target disk: 8 bytes for each 64 KiB block that was written, behind a header.

A header says of which pass it is. A file that says something else, or was written by a machine with another order of bytes, is begun
anew.
"""

import asyncio
import contextlib
import os
import threading
from array import array
from collections.abc import Collection, Iterator
from pathlib import Path

from xo_warmig.disks.block_hashes import NOT_WRITTEN
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import HASHED_BYTES

_HEADER_BYTES = 4096
_ENTRY_BYTES = 8
_MAGIC = int.from_bytes(b"xowhash1", "big")
_SUFFIX = ".hashes"


class FileTable:
    """Fits ``BlockTable``. Its memory does not grow with the disk."""

    def __init__(self, path: Path, run: str, *, size_bytes: int, begun_at: int) -> None:
        """Open the file, or make it. ``begun_at`` counts where it is made."""
        self.size_bytes = size_bytes
        self._path = path
        self._lock = threading.Lock()  # a file must not be closed while a thread syncs it
        with _told(path):
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                found = self._found(run)
                self.begun_at = begun_at if found is None else found
                if found is None:
                    self._begin(run)
            except BaseException:
                self.close()
                raise

    def put(self, first: int, entries: "array[int]") -> None:
        """See ``BlockTable``."""
        with _told(self._path):
            os.pwrite(self._descriptor, entries, _place(first))

    def get(self, first: int, count: int) -> "array[int]":
        """See ``BlockTable``."""
        entries: array[int] = array("Q")
        with _told(self._path):
            data = os.pread(self._descriptor, count * _ENTRY_BYTES, _place(first))
        entries.frombytes(data[: len(data) - len(data) % _ENTRY_BYTES])
        entries.extend([NOT_WRITTEN] * (count - len(entries)))
        return entries

    def cut(self, offset: int) -> None:
        """See ``BlockTable``."""
        with _told(self._path):
            place = _place(-(-offset // HASHED_BYTES))
            if place < os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, place)

    async def sync(self) -> None:
        """See ``BlockTable``."""
        await asyncio.to_thread(self._sync)

    def _sync(self) -> None:
        with self._lock, _told(self._path):
            if self._file is not None:
                os.fdatasync(self._file)

    def close(self) -> None:
        """See ``BlockTable``."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    @property
    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError(f"{self._path} is closed")
        return self._file

    def _found(self, run: str) -> int | None:
        """Where an existing table begins; None where it is not of this pass, or has no whole header."""
        numbers = array("Q")
        head = os.pread(self._descriptor, _HEADER_BYTES, 0)
        if len(head) < _HEADER_BYTES:
            return None
        numbers.frombytes(head[: 3 * _ENTRY_BYTES])
        name = head[3 * _ENTRY_BYTES :].rstrip(b"\0")
        mine = (numbers[0], numbers[1], name) == (_MAGIC, self.size_bytes, run.encode())
        return numbers[2] if mine else None

    def _begin(self, run: str) -> None:
        """Empty, and known to the directory."""
        os.ftruncate(self._descriptor, 0)
        numbers = array("Q", [_MAGIC, self.size_bytes, self.begun_at])
        os.pwrite(self._descriptor, (numbers.tobytes() + run.encode()).ljust(_HEADER_BYTES, b"\0"), 0)
        os.fdatasync(self._descriptor)
        _sync_directory(self._path.parent)


class TableFiles:
    """Fits ``Tables``: a directory of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self, vdi: str, run: str, *, size_bytes: int, begun_at: int) -> FileTable:
        """See ``Tables``."""
        with _told(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileTable(self._path(vdi), run, size_bytes=size_bytes, begun_at=begun_at)

    def move(self, vdi: str, other: str) -> None:
        """See ``Tables``."""
        with _told(self._directory), contextlib.suppress(FileNotFoundError):
            os.replace(self._path(vdi), self._path(other))

    def keep_only(self, vdis: Collection[str]) -> None:
        """See ``Tables``."""
        kept = {self._path(vdi) for vdi in vdis}
        with _told(self._directory):
            for path in self._directory.glob(f"*{_SUFFIX}"):
                if path not in kept:
                    path.unlink(missing_ok=True)

    def _path(self, vdi: str) -> Path:
        return self._directory / f"{vdi}{_SUFFIX}"


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the file system refuses, as an error of ours."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise WarmigError(
            f"the hashes of what was copied cannot be kept in {path}: {error.strerror or error}",
            code="STATE_NOT_WRITABLE",
            evidence={"file": str(path)},
            remedy="See that the state directory has room and may be written to.",
        ) from error


def _place(block: int) -> int:
    return _HEADER_BYTES + block * _ENTRY_BYTES


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
