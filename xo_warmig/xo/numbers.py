"""Numbers as XO has them: XAPI sends integers as text, and XO turns what it shows with JavaScript's unary plus."""

import math
import re
from typing import Final

_DECIMAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_BASED: Final = re.compile(r"0(?:x[0-9a-f]+|o[0-7]+|b[01]+)", re.IGNORECASE)
_MOST_DIGITS: Final = 300  # of what is finite in JavaScript for sure; Python reads no more than 4300
_INFINITE: Final = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


def number(value: object) -> int | float | None:
    """What JavaScript makes of a value that should be a number; None (JSON's null) for its NaN."""
    match value:
        case str():
            return _of_text(value.strip())
        case bool() | int():
            return int(value)
        case float():
            return None if math.isnan(value) else _whole(value)
        case None:
            return 0
    return None


def _of_text(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _MOST_DIGITS else _whole(float(text))
    if _DECIMAL.fullmatch(text):
        return _whole(float(text))
    if _BASED.fullmatch(text):
        return int(text, 0)
    return _INFINITE.get(text, 0 if text == "" else None)


def _whole(value: float) -> int | float:
    """JSON writers of JavaScript know no 1.0."""
    if math.isinf(value):
        return value
    return int(value) if value.is_integer() else value
