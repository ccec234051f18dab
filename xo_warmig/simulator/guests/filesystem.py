"""An ext4 file system on a simulated disk: e2fsprogs work on a flat shadow file, whose differences are written through."""

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from xo_warmig.errors import FormatError, InvalidRequest
from xo_warmig.simulator.storage import BLOCK, Disk
from xo_warmig.simulator.storage.blocks import data_ranges
from xo_warmig.simulator.storage.images import nonzero_pieces

DEFAULT_BYTES = 64 << 20
_LEAST_BYTES = 16 << 20  # with room for a journal
_PIECE = 64 * 1024
_ZERO_PIECE = bytes(_PIECE)
_SUPERBLOCK = 1024
_E2FSCK_CORRECTED = 3  # 1: corrected, 2: and a real system should be restarted


class Filesystem:
    """ext4 on the front of a disk, of ``span`` bytes (0: 64 MiB) unless there is one already.

    Raises:
        InvalidRequest: e2fsprogs is not installed.
        FormatError: one of its programs failed.
    """

    def __init__(self, disk: Disk, shadow: Path, span_bytes: int) -> None:
        self._disk = disk
        self._shadow = shadow
        self._span = span_bytes
        self._known: dict[int, int] = {}  # piece -> hash of what the disk has there; pieces without an entry are zeros
        self.size_bytes = 0
        self.repaired = False  # the disk held a file system that was not clean

    def open(self) -> None:
        """Find the file system that the disk has, or make one. One that is not clean is repaired, as a guest does when it boots."""
        found = ext4_bytes(self._disk.pread(_SUPERBLOCK, 1024))
        self.size_bytes = found or min(max(self._span or DEFAULT_BYTES, _LEAST_BYTES), self._disk.size_bytes)
        self._shadow.parent.mkdir(parents=True, exist_ok=True)
        with self._shadow.open("wb") as shadow:
            shadow.truncate(self.size_bytes)
            self._read_disk(shadow.fileno() if found else None)
        if found:
            self._repair()
        else:
            _run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "nodiscard", str(self._shadow))
        self.write_through()

    def names(self) -> dict[str, int]:
        """Name and size of each plain file in the root directory."""
        listing = _run("debugfs", "-R", "ls -p /", str(self._shadow))
        rows = [line.split("/") for line in listing.splitlines() if line.startswith("/")]
        return {row[5]: int(row[6]) for row in rows if len(row) > 6 and row[2].startswith("100")}

    def contents(self, names: list[str]) -> dict[str, bytes]:
        """What these files hold."""
        with tempfile.TemporaryDirectory(dir=self._shadow.parent) as directory:
            script = Path(directory, ".commands")
            script.write_text("".join(f"dump {name} {directory}/{name}\n" for name in names))
            _run("debugfs", "-f", str(script), str(self._shadow))
            return {name: Path(directory, name).read_bytes() for name in names}

    def change(self, remove: list[str], add: dict[str, bytes]) -> None:
        """Remove and add files of the root directory, and put the result on the disk."""
        with tempfile.TemporaryDirectory(dir=self._shadow.parent) as directory:
            commands = [f"rm {name}" for name in remove]
            for name, content in add.items():
                Path(directory, name).write_bytes(content)
                commands.append(f"write {directory}/{name} {name}")
            script = Path(directory, ".commands")
            script.write_text("\n".join(commands) + "\n")
            _run("debugfs", "-w", "-f", str(script), str(self._shadow))
        self.write_through()

    def write_through(self) -> int:
        """Write what differs to the disk, no snapshot in between, so that each one holds a consistent file system. Returns the bytes."""
        written, seen = 0, set[int]()
        with self._shadow.open("rb") as shadow, self._disk.exclusive():
            for number in _pieces(shadow.fileno()):
                seen.add(number)
                written += self._write_piece(number, os.pread(shadow.fileno(), _PIECE, number * _PIECE))
            for number in sorted(self._known.keys() - seen):
                written += self._write_piece(number, _ZERO_PIECE[: self.size_bytes - number * _PIECE])
        return written

    def close(self) -> None:
        self._shadow.unlink(missing_ok=True)

    def _repair(self) -> None:
        if (
            subprocess.run([find_tool("e2fsck"), "-fn", str(self._shadow)], capture_output=True, check=False).returncode
            == 0
        ):
            return
        self.repaired = True
        done = subprocess.run([find_tool("e2fsck"), "-fy", str(self._shadow)], capture_output=True, check=False)
        if done.returncode > _E2FSCK_CORRECTED:
            raise FormatError("the file system of the disk cannot be repaired")

    def _write_piece(self, number: int, piece: bytes) -> int:
        mark = hash(piece)
        if self._known.get(number) == mark or (number not in self._known and piece == _ZERO_PIECE[: len(piece)]):
            return 0
        self._disk.pwrite(number * _PIECE, piece)
        self._known[number] = mark
        return len(piece)

    def _read_disk(self, shadow_fd: int | None) -> None:
        """Learn what the disk has where the file system is or will be, and copy it when there is a shadow to copy to."""
        for begin in range(0, self.size_bytes, BLOCK):
            if self._disk.segment(begin // BLOCK) is None:
                continue
            data = self._disk.pread(begin, min(BLOCK, self.size_bytes - begin))
            for offset, piece in nonzero_pieces(data):
                self._known[(begin + offset) // _PIECE] = hash(piece)
                if shadow_fd is not None:
                    os.pwrite(shadow_fd, piece, begin + offset)


def ext4_bytes(superblock: bytes) -> int:
    """The size of the file system whose superblock this is; 0 when it is none."""
    (blocks, magic) = struct.unpack_from("<I", superblock, 4)[0], struct.unpack_from("<H", superblock, 56)[0]
    return int(blocks) * (1024 << struct.unpack_from("<I", superblock, 24)[0]) if magic == 0xEF53 else 0


def find_tool(name: str) -> str:
    """Where the program of e2fsprogs is; its directory is often not in the path of ordinary users."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if path is None:
        raise InvalidRequest(
            f"a guest with files needs {name}", remedy="install e2fsprogs, or give the VM a guest of blocks"
        )
    return path


def _pieces(fd: int) -> list[int]:
    numbers = set[int]()
    for begin, end in data_ranges(fd):
        numbers.update(range(begin // _PIECE, -(-end // _PIECE)))
    return sorted(numbers)


def _run(tool: str, *arguments: str) -> str:
    """Its output. debugfs exits with 0 whatever happens: anything on its stderr but the first line, its version, is an error."""
    done = subprocess.run(
        [find_tool(tool), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if not line.startswith(("debugfs ", "mke2fs "))]
    if done.returncode != 0 or complaints:
        raise FormatError(f"{tool}: {' '.join(complaints)}", evidence={"arguments": list(arguments)})
    return done.stdout
