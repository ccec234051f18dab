"""A workload of files: they appear in ext4 on the disk, names and contents follow from the seed, and what should be there is known."""

import hashlib
import random
import re
from pathlib import Path
from typing import Any

import msgspec

from xo_warmig.simulator.guests.filesystem import Filesystem
from xo_warmig.simulator.site import GuestConfig
from xo_warmig.simulator.storage import Disk

_NAME = re.compile(r"f-(\d+)-(\d{8})$")
_FILL = 0.5  # of the file system; the oldest files go first
_MOST_AT_ONCE = 64


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is on the disk: position of the disk, name in the root directory, size, and the sha256 of what it should hold."""

    disk: int
    name: str
    bytes: int
    sha256: str


def content(seed: int, index: int, size_bytes: int) -> bytes:
    """What the file with that number holds."""
    return random.Random(f"{seed}/{index}").randbytes(size_bytes)


class FileWrites:
    """Files of about ``cluster`` bytes on each of its disks in turn. It takes up where it finds files of its own."""

    def __init__(self, disks: list[Disk], config: GuestConfig, directory: Path) -> None:
        self._config = config
        self._sizes = random.Random(f"{config.seed}/sizes")
        shadows = [directory / f"{disk.uuid}.shadow" for disk in disks]
        self._filesystems = [Filesystem(d, s, config.span) for d, s in zip(disks, shadows, strict=True)]
        self._files: dict[str, WrittenFile] = {}
        self._next = 0
        self._bytes = 0
        self._damaged: list[str] = []  # found with another content than they should have

    def prepare(self) -> None:
        for position, filesystem in enumerate(self._filesystems):
            filesystem.open()
            self._take_up(position, filesystem)
        self._files = dict(sorted(self._files.items()))

    def _take_up(self, position: int, filesystem: Filesystem) -> None:
        """Know the files that are there already, and which of them do not hold what they should."""
        names = [name for name in filesystem.names() if _NAME.match(name)]
        for name, held in filesystem.contents(names).items():
            seed, index = map(int, _NAME.match(name).groups())  # type: ignore[union-attr]  # they have matched
            wanted = content(seed, index, len(held))
            self._files[name] = _record(position, name, wanted)
            self._next = max(self._next, index + 1)
            if held != wanted:
                self._damaged.append(name)

    def unit_bytes(self) -> int:
        return max(1, self._config.cluster)

    def write(self, budget_bytes: int) -> int:
        done = 0
        while (count := min(_MOST_AT_ONCE, (budget_bytes - done) // self.unit_bytes())) > 0:
            done += self._write_files(count)
        return done

    def flush(self) -> None:
        """One last file on each disk: what a final pass must not miss."""
        for _ in self._filesystems:
            self._write_files(1)

    def report(self) -> dict[str, Any]:
        repaired = any(filesystem.repaired for filesystem in self._filesystems)
        return {
            "bytes": self._bytes,
            "files": list(self._files.values()),
            "damaged": self._damaged,
            "repaired": repaired,
        }

    def close(self) -> None:
        for filesystem in self._filesystems:
            filesystem.close()

    def _write_files(self, count: int) -> int:
        """In one go, all or none as far as snapshots see. The record says so only afterwards."""
        position = self._next % len(self._filesystems)
        filesystem = self._filesystems[position]
        add = {}
        for index in range(self._next, self._next + count):
            size = self._sizes.randrange(self.unit_bytes() // 2, self.unit_bytes() * 3 // 2 + 1)
            add[f"f-{self._config.seed}-{index:08d}"] = content(self._config.seed, index, size)
        added = sum(map(len, add.values()))
        remove = self._oldest(position, added - int(filesystem.size_bytes * _FILL))
        filesystem.change(remove, add)
        self._next += count
        for name in remove:
            del self._files[name]
        self._files |= {name: _record(position, name, data) for name, data in add.items()}
        self._bytes += added
        return added

    def _oldest(self, position: int, over_bytes: int) -> list[str]:
        """The files to remove so that the new ones fit."""
        here = [file for file in self._files.values() if file.disk == position]
        over, chosen = over_bytes + sum(file.bytes for file in here), []
        for file in here:
            if over <= 0:
                break
            chosen.append(file.name)
            over -= file.bytes
        return chosen


def _record(position: int, name: str, data: bytes) -> WrittenFile:
    return WrittenFile(disk=position, name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
