"""What clients did to a pool, for tests to look at: calls and disk transfers, with times, byte counts and whether they changed anything."""

import threading
from collections import deque
from typing import Any

import msgspec

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
    name: str  # export_raw_vdi or import_raw_vdi
    vdi: str
    base: str | None
    format: str  # raw, vhd, or sparse
    host: str
    task: str
    started: float
    ended: float
    bytes: int
    written: int
    changed: bool
    error: str | None


class Trace:
    """The record. ``number`` counts calls and transfers together, in the order of their ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._calls: deque[CallEntry] = deque(maxlen=_MOST)
        self._transfers: deque[TransferEntry] = deque(maxlen=_MOST)

    def call(
        self, method: str, args: list[Any], started: float, ended: float, changed: bool, error: str | None
    ) -> None:
        """A call has ended."""
        shown = [] if method.startswith("session.") else [_shown(arg) for arg in args]  # no passwords
        with self._lock:
            self._number += 1
            self._calls.append(
                CallEntry(
                    number=self._number,
                    method=method,
                    args=shown,
                    started=started,
                    ended=ended,
                    changed=changed,
                    error=error,
                )
            )

    def transfer(self, **fields: Any) -> None:
        """A transfer has ended; ``fields`` are those of ``TransferEntry`` without ``number``."""
        with self._lock:
            self._number += 1
            self._transfers.append(TransferEntry(number=self._number, **fields))

    def since(self, number: int = 0) -> dict[str, Any]:
        """Everything after that number: ``{"number", "calls", "transfers"}``."""
        with self._lock:
            return {
                "number": self._number,
                "calls": [entry for entry in self._calls if entry.number > number],
                "transfers": [entry for entry in self._transfers if entry.number > number],
            }


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
