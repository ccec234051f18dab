"""What must be known of a frame that passes, looked up without changing it.

Only the head is read; params and results stay the text that they are. What a frame means is decided as xo-server's JSON.parse does: of
a member that stands twice the last one counts, and ids are numbers of JavaScript.
"""

import re
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

Key = float | str  # an id, as a JavaScript program would compare it
Text = str | bytes

_LONE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Odd(Enum):
    """No single message with readable members."""

    BATCH = "an array"
    TOO_DEEP = "nested too deeply to be read"
    UNREADABLE = "no JSON, or no object"


class Frame(NamedTuple):
    """``method`` of a request or notification, ``result`` or ``error`` of an answer; None where there is none of its type.

    ``text`` is what was sent; offsets in ``readable``, which the other members are parts of, are the same in it.
    """

    text: Text
    readable: Text
    key: Key | None
    id: Raw | None
    method: str | None
    result: Raw | None
    error: Raw | None

    @property
    def is_answer(self) -> bool:
        return self.method is None and not (self.result is None and self.error is None)

    def result_text(self) -> str:
        """As it was sent. Only of a frame with a result."""
        assert self.result is not None
        result = bytes(self.result).decode()
        if self.readable is self.text:
            return result
        start = str(self.readable).find(result)
        return str(self.text)[start : start + len(result)]


class _Head(msgspec.Struct):
    id: Raw | UnsetType = UNSET
    method: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


_HEAD: Final = msgspec.json.Decoder(_Head)


def look(text: Text) -> Frame | Odd:
    """Never raises."""
    try:
        return _frame(text, text)
    except RecursionError:
        return Odd.TOO_DEEP
    except msgspec.ValidationError:
        return _not_an_object(text)
    except (msgspec.DecodeError, UnicodeError):
        return _look_again(text)


def _look_again(text: Text) -> Frame | Odd:
    """JSON.parse takes half of a surrogate pair, which no UTF-8 can hold: something of the same length stands in for it."""
    try:
        whole = text if isinstance(text, str) else text.decode()
        readable = _LONE_SURROGATE.sub(r"\\ufffd", whole)
        return _frame(whole, readable) if readable != whole else Odd.UNREADABLE
    except RecursionError:
        return Odd.TOO_DEEP
    except msgspec.ValidationError:
        return _not_an_object(text)
    except (msgspec.DecodeError, UnicodeError):
        return Odd.UNREADABLE


def _frame(text: Text, readable: Text) -> Frame:
    head = _HEAD.decode(readable)
    id = None if head.id is UNSET else head.id
    method = None if head.method is UNSET else msgspec.json.decode(head.method)
    return Frame(
        text=text,
        readable=readable,
        key=None if id is None else _key(id),
        id=id,
        method=method if isinstance(method, str) else None,
        result=None if head.result is UNSET else head.result,
        error=None if head.error is UNSET else head.error,
    )


def _key(id: Raw) -> Key | None:
    value: Any = msgspec.json.decode(id)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def _not_an_object(text: Text) -> Odd:
    start = text[:1000].strip()[:1]
    return Odd.BATCH if start in ("[", b"[") else Odd.UNREADABLE
