"""What is within a value."""

from typing import Any, Final

from msgspec import UNSET

_MOST_DIGITS: Final = 15


def member(value: object, name: str) -> Any:
    """A member of an object; of a list or text its ``length``, or the item at a position. UNSET when there is none."""
    match value:
        case dict():
            return value.get(name, UNSET)
        case list() | str():
            if name == "length":
                return len(value)
            if name.isdecimal() and len(name) <= _MOST_DIGITS and int(name) < len(value):
                return value[int(name)]
    return UNSET
