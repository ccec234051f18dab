"""What was done to a pool, for tests to look at: calls, disk transfers and the power states of VMs, with times.

With a file the record outlives the process: what is in it when the pool is killed is there when it runs again.
"""

import threading
import time
from collections import deque
from typing import Any, TypeAlias

import msgspec

from xo_warmig.simulator.trace_file import TraceFile

_MOST = 100_000  # entries of each kind; the oldest go first
_LONGEST_TEXT = 200


class CallEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An API call. Times are seconds since the epoch; ``error`` is the XAPI code."""

    number: int
    method: str
    args: list[Any]
    started: float
    ended: float
    changed: bool
    error: str | None


class TransferEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A disk transfer. ``vdi`` and ``base`` are uuids, ``bytes`` those of the body that passed, ``written`` those put on the disk."""

    number: int
    name: str  # export_raw_vdi, import_raw_vdi or nbd_read, which is a connection
    vdi: str
    base: str | None
    format: str  # raw, vhd, sparse, or nbd
    host: str
    task: str
    started: float
    ended: float
    bytes: int
    written: int
    changed: bool
    error: str | None


class PowerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A VM, by uuid, has this power state and these blocked operations from now on.

    ``own_state`` is a hash of what it changes about itself while it runs.
    """

    number: int
    time: float
    vm: str
    ref: str
    power_state: str
    blocked_operations: dict[str, str]
    own_state: str


Entry: TypeAlias = CallEntry | TransferEntry | PowerEntry
_KINDS: dict[str, type[Entry]] = {"calls": CallEntry, "transfers": TransferEntry, "power": PowerEntry}


class Trace:
    """The record. ``number`` counts all entries together, in the order of their ends."""

    def __init__(self, file: TraceFile | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file
        self._number = 0
        self._entries: dict[str, deque[Entry]] = {kind: deque(maxlen=_MOST) for kind in _KINDS}
        if file is not None:
            for kind, raw in file.read():
                entry = msgspec.json.decode(raw, type=_KINDS[kind])
                self._entries[kind].append(entry)
                self._number = max(self._number, entry.number)
            self._rewrite(file)

    def call(
        self, method: str, args: list[Any], started: float, ended: float, changed: bool, error: str | None
    ) -> None:
        """A call has ended."""
        shown = [] if method.startswith("session.") else [_shown(arg) for arg in args]  # no passwords
        fields = {"started": started, "ended": ended, "changed": changed, "error": error}
        self._add("calls", method=method, args=shown, **fields)

    def transfer(self, **fields: Any) -> None:
        """A transfer has ended; ``fields`` are those of ``TransferEntry`` without ``number``."""
        self._add("transfers", **fields)

    def power(self, **fields: Any) -> None:
        """A VM has come to this, this moment; ``fields`` are those of ``PowerEntry`` without ``number`` and ``time``."""
        self._add("power", time=time.time(), **fields)

    def since(self, number: int = 0) -> dict[str, Any]:
        """Everything after that number: ``{"number", "calls", "transfers", "power"}``."""
        with self._lock:
            later = {kind: [entry for entry in all_ if entry.number > number] for kind, all_ in self._entries.items()}
            return {"number": self._number} | later

    def close(self) -> None:
        """Nothing more goes to the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _add(self, kind: str, **fields: Any) -> None:
        with self._lock:
            self._number += 1
            entry = _KINDS[kind](number=self._number, **fields)
            self._entries[kind].append(entry)
            if self._file is not None:
                self._file.append(kind, entry)
                if self._file.lines > 2 * _MOST * len(_KINDS):
                    self._rewrite(self._file)

    def _rewrite(self, file: TraceFile) -> None:
        file.replace([(kind, entry) for kind, entries in self._entries.items() for entry in entries])


def _shown(value: Any) -> Any:
    """A value as JSON can hold it, long texts cut."""
    match value:
        case str():
            return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
        case None | bool() | int() | float():
            return value
        case list() | tuple():
            return [_shown(item) for item in value]
        case dict():
            return {str(key): _shown(item) for key, item in value.items()}
        case _:
            return _shown(str(value))
