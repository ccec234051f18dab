"""How long things take on a simulated pool: named delays, all zero unless asked for."""

import threading
from typing import Self

from xo_warmig.errors import InvalidRequest

NAMES = (
    "start",
    "shutdown",
    "guest_shutdown",
    "snapshot",
    "clone",
    "create",
    "destroy",
    "attach",
    "detach",
    "linger",
    "resize",
    "plug",
    "scan",
    "cbt",
    "changed_blocks",
    "data_destroy",
    "login_failed",
)

# Measured on a running xapi 26.17 with a file SR on two cores; linger is the moment between the end of a
# transfer's stream and the beginning of the detach; xapi sleeps 5 s after a wrong password.
REAL = {
    "start": 0.43,
    "shutdown": 0.2,
    "guest_shutdown": 0.4,
    "snapshot": 0.55,
    "clone": 0.55,
    "create": 0.15,
    "destroy": 0.18,
    "attach": 0.4,
    "detach": 0.4,
    "linger": 0.05,
    "resize": 0.2,
    "plug": 0.4,
    "scan": 0.3,
    "cbt": 0.4,
    "changed_blocks": 0.15,
    "data_destroy": 0.18,
    "login_failed": 5.0,
}


class Delays:
    """Seconds by name. Unknown names are a mistake of the caller and raise KeyError."""

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self._seconds = dict.fromkeys(NAMES, 0.0) | (seconds or {})
        self._stopping = threading.Event()

    @classmethod
    def parse(cls, text: str) -> Self:
        """``""``, ``real``, ``attach=0.4,detach=1``, or ``real,attach=2``.

        Raises:
            InvalidRequest: an unknown name, or no number of seconds.
        """
        seconds: dict[str, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            if item == "real":
                seconds |= REAL
                continue
            name, _, value = item.partition("=")
            seconds[_known(name.strip())] = _number(item, value)
        return cls(seconds)

    def seconds(self, name: str) -> float:
        return self._seconds[name]

    def wait(self, name: str) -> None:
        """Let that much time pass; at once when the pool is stopping."""
        if (seconds := self._seconds[name]) > 0:
            self._stopping.wait(seconds)

    def stop(self) -> None:
        """End all waits, present and future."""
        self._stopping.set()


def _known(name: str) -> str:
    if name not in NAMES:
        raise InvalidRequest(f"no delay is named {name!r}", remedy=f"choose among real, {', '.join(NAMES)}")
    return name


def _number(item: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 86_400:
        raise InvalidRequest(f"{item!r} gives no number of seconds", remedy="write it as attach=0.4")
    return seconds
