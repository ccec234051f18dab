"""Sizes and times, and how people write them."""

import re
from datetime import datetime, tzinfo

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:iB|B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """``100M`` as 104857600 bytes; units are powers of 1024.

    Raises:
        ValueError: no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write it as 64K, 100M or 1.5G")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def format_bytes(count: float) -> str:
    """``1536`` as ``1.5 KiB``."""
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_seconds(seconds: float) -> str:
    """``3725`` as ``1 h 02 min``; below a minute with a tenth."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def format_time(seconds: float, zone: tzinfo | None = None) -> str:
    """A moment in seconds since the epoch, in this machine's time zone unless another is given. Far ones have no date."""
    try:
        return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return "the end of time"
