"""Changed block tracking: the logs of disks and snapshots and how they follow each other, as SM keeps them (libs/sm/VDI.py).

A disk that is tracked has a log with the changes since its last snapshot. A snapshot takes the log over, and the disk begins another
one after it. Whether a disk may be tracked, and who has it attached when, is decided elsewhere.
"""

import os
import secrets
import threading
from pathlib import Path

import msgspec

from xo_warmig.errors import FormatError, NoSuchObject
from xo_warmig.simulator.storage.change_bits import ChangeBits, bitmap_bytes, united

_HEAD_BYTES = 48  # of a real log (include/cbt-util.h of blktap): two uuids, the flag, the size


class Log(msgspec.Struct, kw_only=True):
    """``parent`` and ``child``: whose log goes before this one and after it. ``consistent``: it was closed after it was last opened."""

    file: str
    size_bytes: int
    parent: str | None = None
    child: str | None = None
    consistent: bool = True


class ChangeLogs:
    """All logs of a pool by the uuid of their disk. Safe to use from any thread.

    Links and flags are in one small file that is replaced whole, so a killed process leaves the old ones or the new ones; bits survive
    it, too. Calls about an unknown disk do nothing, unless they say otherwise.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._index = directory / "index.json"
        self._lock = threading.RLock()
        raw = self._index.read_bytes() if self._index.exists() else b"{}"
        self._logs = msgspec.json.decode(raw, type=dict[str, Log])
        self._bits = {uuid: ChangeBits(directory / log.file) for uuid, log in self._logs.items()}
        self._sweep()

    def exists(self, uuid: str) -> bool:
        return uuid in self._logs

    def is_consistent(self, uuid: str) -> bool:
        """False while the log is open, and after a crash of whoever had it open. NoSuchObject."""
        return self._log(uuid).consistent

    def file_bytes(self, uuid: str) -> int:
        """What the log would take as a file of its own. NoSuchObject."""
        return _HEAD_BYTES + bitmap_bytes(self._log(uuid).size_bytes)

    def begin(self, uuid: str, size_bytes: int, *, attached: bool) -> None:
        """Track a disk from now on."""
        with self._lock:
            if uuid not in self._logs:
                self._add(uuid, Log(file=_new_name(), size_bytes=size_bytes, consistent=not attached))
                self._save()

    def end(self, uuid: str) -> None:
        """Track it no more: its log goes, and what was before it leads nowhere."""
        with self._lock:
            if (log := self._logs.get(uuid)) is not None:
                if (parent := self._logs.get(log.parent or "")) is not None:
                    parent.child = None
                self._drop(uuid)

    def destroy(self, uuid: str) -> None:
        """The disk is no more. Its changes are added to those of the log after it, so that they are not missed."""
        with self._lock:
            if (log := self._logs.get(uuid)) is None:
                return
            if (parent := self._logs.get(log.parent or "")) is not None:
                parent.child = log.child
            if log.child is not None and (child := self._logs.get(log.child)) is not None:
                child.parent = log.parent
                self._bits[log.child].add(self._bits[uuid].read(log.size_bytes))
            self._drop(uuid)

    def split(self, uuid: str, snapshot_uuid: str, *, attached: bool) -> None:
        """Give the log to a snapshot and begin another one after it. The caller holds the disk's pen."""
        with self._lock:
            if (log := self._logs.get(uuid)) is None:
                return
            self._bits[uuid].settle(log.size_bytes)
            self._logs[snapshot_uuid], self._bits[snapshot_uuid] = log, self._bits[uuid]
            if (parent := self._logs.get(log.parent or "")) is not None:
                parent.child = snapshot_uuid
            # Attached or not is all that counts: whether the former log was consistent, SM does not ask.
            after = Log(file=_new_name(), size_bytes=log.size_bytes, parent=snapshot_uuid, child=log.child)
            after.consistent, log.consistent, log.child = not attached, True, uuid
            self._add(uuid, after)
            self._save()

    def resize(self, uuid: str, size_bytes: int) -> None:
        with self._lock:
            if (log := self._logs.get(uuid)) is not None:
                log.size_bytes = size_bytes
                self._save()

    def mark(self, uuid: str, block: int, begin: int, length: int) -> None:
        """Bytes within one block of 2 MiB are about to be written."""
        if (bits := self._bits.get(uuid)) is not None:
            bits.mark(block, begin, length)

    def open(self, uuid: str) -> bool:
        """The disk is attached for writing. False, and nothing is done, when its log is not consistent."""
        with self._lock:
            log = self._logs.get(uuid)
            if log is None or not log.consistent:
                return log is None
            log.consistent = False
            self._save()
            return True

    def close(self, uuid: str) -> None:
        """The disk is let go, whichever way it was attached: the log counts as consistent, whatever it was before."""
        with self._lock:
            if (log := self._logs.get(uuid)) is not None:
                self._bits[uuid].settle(log.size_bytes)
                if not log.consistent:
                    log.consistent = True
                    self._save()

    def lose(self, uuid: str) -> None:
        """The machine that had the disk is gone, and with it what it had not written of the log."""
        with self._lock:
            if (log := self._logs.get(uuid)) is not None:
                self._bits[uuid].lose(log.size_bytes)

    def changed(self, from_uuid: str, to_uuid: str) -> bytes:
        """The blocks in which the second may differ from the first, as bits.

        Raises:
            NoSuchObject: no log of the first, or none that leads to the second.
            FormatError: a disk in between is smaller than one before it.
        """
        with self._lock:
            found, size, at = b"", 0, self._log(from_uuid)
            while (after := at.child) is not None and (log := self._logs.get(after)) is not None:
                if log.size_bytes < size:
                    raise FormatError("the logs' sizes contradict each other", evidence={"id": after})
                at, size = log, log.size_bytes
                found = united(found, self._bits[after].read(size))
                if after == to_uuid:
                    return found
        raise NoSuchObject(f"no log of {from_uuid} leads to {to_uuid}", evidence={"id": to_uuid})

    def _log(self, uuid: str) -> Log:
        if (log := self._logs.get(uuid)) is None:
            raise NoSuchObject(f"{uuid} is not tracked", evidence={"id": uuid})
        return log

    def _add(self, uuid: str, log: Log) -> None:
        self._logs[uuid], self._bits[uuid] = log, ChangeBits(self._directory / log.file)

    def _drop(self, uuid: str) -> None:
        del self._logs[uuid]
        bits = self._bits.pop(uuid)
        self._save()
        bits.unlink()

    def _save(self) -> None:
        temporary = self._index.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self._logs))
        os.replace(temporary, self._index)

    def _sweep(self) -> None:
        """Remove files that a killed process left behind without an entry."""
        known = {log.file for log in self._logs.values()}
        for path in self._directory.glob("*.bits"):
            if path.name not in known:
                path.unlink()


def _new_name() -> str:
    return f"{secrets.token_hex(8)}.bits"
