"""A pool's share of the wire: one token bucket for all its disk transfers."""

import threading
import time
from typing import Self

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.units import GIB, KIB, MIB

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB}
_BURST_SECONDS = 0.02
_SMALLEST_PIECE_BYTES = 16 * KIB


class Bandwidth:
    """``bytes_per_second`` for all transfers together; None: as fast as it goes."""

    def __init__(self, bytes_per_second: float | None = None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0  # monotonic seconds at which everything granted so far has been sent
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """``100M`` is 100 MiB/s; K and G likewise, no unit: bytes. None or empty: no limit."""
        return cls(parse_rate(text) if text else None)

    @property
    def limited(self) -> bool:
        return self._rate is not None

    def piece_bytes(self, wanted_bytes: int) -> int:
        """How much to send at once, so that a slow wire is a steady one."""
        if self._rate is None:
            return wanted_bytes
        return min(wanted_bytes, max(_SMALLEST_PIECE_BYTES, int(self._rate * _BURST_SECONDS)))

    def take(self, count_bytes: int) -> None:
        """Wait until so many bytes may pass. First come, first served."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(self._free_at, now - _BURST_SECONDS)
            self._free_at = begin + count_bytes / self._rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)


def parse_rate(text: str) -> float:
    """Bytes per second.

    Raises:
        InvalidRequest: not a positive number with K, M, G or nothing after it.
    """
    stripped = text.strip().upper().removesuffix("/S").removesuffix("B").removesuffix("I")
    unit = stripped[-1:] if stripped[-1:] in ("K", "M", "G") else ""
    try:
        rate = float(stripped.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise InvalidRequest(f"{text!r} is no rate", remedy="write it as 100M")
    return rate
