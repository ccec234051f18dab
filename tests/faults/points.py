"""Points of a server's course at which a test may end it: each effect on a pool and each commit, before and after.

Points are counted by name from the moment when the file ``armed`` exists, so that a server's start is not counted and that of a
recovering server is. What passes is written down first, whatever happens then.
"""

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Protocol

import msgspec


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a server that was made to crash is told.

    ``passed``: the file to which the names of points are appended as they pass. ``strike_at``: ``name:nth`` (from 1), the number of a
    point among all, or "" for none. ``strike``: ``kill`` for SIGKILL, ``stop`` for SIGSTOP, after which a test may let it go on.
    """

    armed: str
    passed: str
    strike_at: str = ""
    strike: str = "kill"


class Passing(Protocol):
    """What is told of points."""

    def passing(self, name: str) -> None:
        """The server is at this point now."""
        ...


class Points:
    """Counts points and strikes at one. Any thread may pass one; the strike takes all of them."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._lock = threading.Lock()
        self._names: Counter[str] = Counter()
        self._is_armed = False
        self._passed = os.open(orders.passed, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def passing(self, name: str) -> None:
        """The server is at this point now."""
        with self._lock:
            self._is_armed = self._is_armed or os.path.exists(self._orders.armed)
            if not self._is_armed:
                return
            self._names[name] += 1
            os.write(self._passed, f"{name}\n".encode())
            if self._orders.strike_at in (f"{name}:{self._names[name]}", str(self._names.total())):
                os.write(self._passed, b"STRUCK\n")
                os.kill(os.getpid(), signal.SIGKILL if self._orders.strike == "kill" else signal.SIGSTOP)


class Passed(msgspec.Struct, frozen=True):
    """What a server wrote down: the names in order, and whether it was struck."""

    names: list[str]
    struck: bool


def read_passed(file: Path) -> Passed:
    """Nothing of a server that passed nothing."""
    lines = file.read_text().splitlines() if file.exists() else []
    return Passed([line for line in lines if line != "STRUCK"], "STRUCK" in lines)


def numbered(names: list[str]) -> list[str]:
    """Each as ``name:nth``, as ``strike_at`` wants it."""
    counts: Counter[str] = Counter()
    found = []
    for name in names:
        counts[name] += 1
        found.append(f"{name}:{counts[name]}")
    return found
