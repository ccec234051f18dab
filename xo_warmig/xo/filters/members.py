"""What is within a value."""

from typing import Any

from msgspec import UNSET


def member(value: object, name: str) -> Any:
    """A member of an object; of a list or text its ``length``, or the item at a position. UNSET when there is none."""
    match value:
        case dict():
            return value.get(name, UNSET)
        case list() | str():
            if name == "length":
                return len(value)
            if name.isdecimal() and int(name) < len(value):
                return value[int(name)]
    return UNSET
