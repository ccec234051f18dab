"""Lifetimes as XO's API takes them: a number of milliseconds, or text like ``30 days``."""

import re
from typing import Final

from xo_warmig.errors import InvalidRequest

_DAY_MS: Final = 86_400_000
YEAR_MS: Final = int(365.25 * _DAY_MS)

# The units and spellings of npm's ms, which XO parses with.
_UNITS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": _DAY_MS,
    "w": 7 * _DAY_MS,
    "y": YEAR_MS,
}
_SPELLINGS: Final = {
    **dict.fromkeys(("milliseconds", "millisecond", "msecs", "msec", "ms", ""), "ms"),
    **dict.fromkeys(("seconds", "second", "secs", "sec", "s"), "s"),
    **dict.fromkeys(("minutes", "minute", "mins", "min", "m"), "m"),
    **dict.fromkeys(("hours", "hour", "hrs", "hr", "h"), "h"),
    **dict.fromkeys(("days", "day", "d"), "d"),
    **dict.fromkeys(("weeks", "week", "w"), "w"),
    **dict.fromkeys(("years", "year", "yrs", "yr", "y"), "y"),
}
_TEXT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?|\.\d{1,9})\s*([a-zA-Z]*)\s*")


def milliseconds(value: float | str) -> int:
    """Raises InvalidRequest with code BAD_DURATION."""
    if isinstance(value, int | float):
        return round(value)
    match = _TEXT.fullmatch(value)
    unit = match and _SPELLINGS.get(match[2].lower())
    if not match or unit is None:
        raise InvalidRequest(
            f"{value[:40]!r} is no duration",
            code="BAD_DURATION",
            remedy="Give milliseconds as a number, or text such as '30 days' or '12h'.",
        )
    return round(float(match[1]) * _UNITS[unit])
