"""Faults on request: what a test wants to go wrong, and when. Calls and transfers ask here; nothing happens unless it was ordered."""

import threading
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from xo_warmig.simulator.failure import XapiFailure

_NO_SPACE = ("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
_POLL_SECONDS = 0.05
MOST_DROPPED_BYTES = 256 << 20
"""So much of a body can be lost at a cut: it is held in memory until then."""


class FaultKind(StrEnum):
    """``cut``: the connection breaks. ``fail``: the call or transfer fails. ``delay``: it waits, then goes on. ``corrupt``: a byte is
    changed on the wire. ``hang``: it goes on only when the fault is removed. ``full``: the repository has no room."""

    CUT = "cut"
    FAIL = "fail"
    DELAY = "delay"
    CORRUPT = "corrupt"
    HANG = "hang"
    FULL = "full"


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. ``match``: a glob for the call (``VDI.snapshot``, ``VM.*``), ``export_raw_vdi``, ``import_raw_vdi`` or ``nbd_read``, or
    a VDI's uuid; or ``cbt.snapshot`` and ``cbt.resize``, the steps with a disk's log of changes that turn tracking off when they fail.

    ``at``: for a transfer the byte of its body (over NBD the data of all replies on a connection), for a call its how-manieth matching
    call (from 1; 0 the same as 1). ``times``: how often it strikes. ``seconds`` is for ``delay``; ``error`` (code and parameters) for
    ``fail``. On an NBD connection a failure is a cut, and at 0 it comes before the export is described.

    ``drop_bytes`` is for ``cut`` and imports: of what the pool has received, so many last bytes never reach the disk. With them an
    ``at`` of 0 waits for the client to cut the connection; any other ``at`` cuts there, or where the client does so before.
    """

    kind: FaultKind
    match: str
    at: int = 0
    times: int = 1
    seconds: float = 1.0
    error: tuple[str, ...] = ("INTERNAL_ERROR", "a simulated fault")
    drop_bytes: Annotated[int, msgspec.Meta(ge=0, le=MOST_DROPPED_BYTES)] = 0

    def __post_init__(self) -> None:
        if self.drop_bytes and self.kind is not FaultKind.CUT:
            raise ValueError("drop_bytes are lost at a cut alone")

    @property
    def cuts_by_itself(self) -> bool:
        """Whether it strikes at a byte, rather than when the client goes away."""
        return not self.drop_bytes or self.at > 0


class _Armed:
    """An order and what is left of it."""

    def __init__(self, number: int, order: FaultOrder) -> None:
        self.number = number
        self.order = order
        self.left = order.times
        self.seen = 0

    def matches(self, names: Iterable[str]) -> bool:
        return self.left > 0 and any(fnmatchcase(name, self.order.match) for name in names)


class Faults:
    """All faults of a pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._numbers = 0
        self._stopping = threading.Event()

    def add(self, order: FaultOrder) -> int:
        """Arm it; returns its number."""
        with self._lock:
            self._numbers += 1
            self._armed.append(_Armed(self._numbers, order))
            return self._numbers

    def clear(self) -> None:
        """Remove all; what hangs goes on."""
        with self._lock:
            self._armed.clear()

    def stop(self) -> None:
        """The pool is stopping: nothing hangs or waits any longer."""
        self._stopping.set()

    def show(self) -> list[dict[str, Any]]:
        """What is armed: number, order, and how often it may still strike."""
        with self._lock:
            return [{"number": a.number, "order": msgspec.to_builtins(a.order), "left": a.left} for a in self._armed]

    def on_call(self, method: str, args: list[Any]) -> None:
        """Before a call's handler runs. May wait, or raise XapiFailure or ConnectionAbortedError (``cut``: no answer is sent)."""
        name = method.removeprefix("Async.")
        for armed in self._due(name):
            self._strike_call(armed)

    def for_transfer(self, name: str, vdis: Iterable[str]) -> "TransferFaults":
        """The faults that a transfer has to watch for; ``vdis`` are the uuids of its disks."""
        names = (name, *vdis)
        with self._lock:
            armed = [one for one in self._armed if one.matches(names)]
        return TransferFaults(self, [one for one in armed if name == "import_raw_vdi" or not one.order.drop_bytes])

    def _due(self, name: str) -> list[_Armed]:
        due = []
        with self._lock:
            for armed in self._armed:
                if armed.matches((name,)):
                    armed.seen += 1
                    if armed.seen >= armed.order.at:
                        armed.left -= 1
                        due.append(armed)
        return due

    def _strike_call(self, armed: _Armed) -> None:
        match armed.order.kind:
            case FaultKind.FAIL:
                raise XapiFailure(*armed.order.error)
            case FaultKind.FULL:
                raise XapiFailure(*_NO_SPACE)
            case FaultKind.CUT | FaultKind.CORRUPT:
                raise ConnectionAbortedError(f"a fault cuts {armed.order.match}")
            case FaultKind.DELAY:
                self.wait(armed.order.seconds)
            case FaultKind.HANG:
                self.hang(armed)

    def hang(self, armed: _Armed) -> None:
        """Until the fault is removed. ConnectionAbortedError when the pool stops: what hung does not happen after all."""
        while armed in self._armed:
            self.wait(_POLL_SECONDS)

    def wait(self, seconds: float) -> None:
        """Until the time is over. ConnectionAbortedError when the pool stops."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the pool stops")

    def consume(self, armed: _Armed) -> bool:
        """Whether it may strike once more; counts it."""
        with self._lock:
            if armed.left <= 0 or armed not in self._armed:
                return False
            armed.left -= 1
            return True


class TransferFaults:
    """The faults of one transfer in the order of the bytes where they strike, each once."""

    def __init__(self, faults: Faults, armed: list[_Armed]) -> None:
        self._faults = faults
        self._waiting = sorted((a for a in armed if a.order.cuts_by_itself), key=lambda a: a.order.at)
        self._dropping = [a for a in armed if a.order.drop_bytes]
        self._lost_bytes = 0  # by the fault that has cut

    @property
    def most_dropped_bytes(self) -> int:
        """How much of what was received has to be held back, in case the connection is cut."""
        return max((armed.order.drop_bytes for armed in self._dropping), default=0)

    def lost_bytes(self) -> int:
        """The connection was cut, by a fault or by the client: how many of the last bytes are lost with it. To be asked once."""
        if self._lost_bytes:
            return self._lost_bytes
        return next((armed.order.drop_bytes for armed in self._dropping if self._faults.consume(armed)), 0)

    @property
    def next_at(self) -> int | None:
        """The byte at which the next one strikes: no more than up to there may pass before ``strike``."""
        return self._waiting[0].order.at if self._waiting else None

    def strike(self) -> bool:
        """Let the next one strike. True: the byte at this place is to be changed.

        Raises:
            ConnectionError: cut here, by the fault or because the pool stops.
            XapiFailure: fail here with this error.
            OSError: ENOSPC, there is no room.
        """
        armed = self._waiting.pop(0)
        if not self._faults.consume(armed):
            return False
        match armed.order.kind:
            case FaultKind.CUT:
                self._lost_bytes = armed.order.drop_bytes
                raise ConnectionResetError("a fault cuts the connection")
            case FaultKind.FAIL:
                raise XapiFailure(*armed.order.error)
            case FaultKind.FULL:
                raise OSError(28, "No space left on device")
            case FaultKind.DELAY:
                self._faults.wait(armed.order.seconds)
            case FaultKind.HANG:
                self._faults.hang(armed)
            case FaultKind.CORRUPT:
                return True
        return False
