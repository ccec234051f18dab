"""The type grammar of XAPI's datamodel, parsed: ``VM ref set``, ``(string -> enum vm_operations) map`` and so on.

The grammar is that of the published ``xenapi.json`` (ocaml/idl/json_backend/gen_json.ml). How values of these types look on the
wire is in encoding and decoding, not here.
"""

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias


@dataclass(frozen=True)
class Basic:
    """``string``, ``int``, ``float``, ``bool``, ``datetime`` or ``void``."""

    name: str


@dataclass(frozen=True)
class Ref:
    cls: str


@dataclass(frozen=True)
class Enum:
    name: str


@dataclass(frozen=True)
class Record:
    cls: str


@dataclass(frozen=True)
class SetOf:
    item: "DataType"


@dataclass(frozen=True)
class MapOf:
    key: "DataType"
    value: "DataType"


@dataclass(frozen=True)
class OptionOf:
    item: "DataType"


@dataclass(frozen=True)
class EventBatch:
    """The answer of ``event.from``; written ``an event batch`` in the datamodel."""


DataType: TypeAlias = Basic | Ref | Enum | Record | SetOf | MapOf | OptionOf | EventBatch

BASIC = frozenset({"string", "int", "float", "bool", "datetime", "void"})


@cache
def parse(text: str) -> DataType:
    """The type that a text of the datamodel stands for. ValueError when it is none."""
    if text in BASIC:
        return Basic(text)
    if text == "an event batch":
        return EventBatch()
    if text.startswith("enum ") and " " not in text[5:]:
        return Enum(text[5:])
    if text.endswith(" map") and text.startswith("("):
        key, value = _split_arrow(text[1:-5])
        return MapOf(parse(key), parse(value))
    head, _, last = text.rpartition(" ")
    match last:
        case "set":
            return SetOf(parse(head))
        case "option":
            return OptionOf(parse(head))
        case "ref":
            return Ref(head)
        case "record":
            return Record(head)
    raise ValueError(f"not a type of the datamodel: {text!r}")


def _split_arrow(text: str) -> tuple[str, str]:
    """The two sides of the outermost ``->`` of a map's inside."""
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text.startswith(" -> ", i):
            return text[:i], text[i + 4 :]
    raise ValueError(f"a map without an arrow: {text!r}")
