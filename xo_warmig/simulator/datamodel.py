"""XAPI's classes, fields, messages and enums, read from ``datamodel.json`` beside this file.

That file is made by ``scripts/compact_datamodel.py`` from the datamodel that the XAPI project publishes. Members of later releases
and removed ones are in it, with the releases that they came and went with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from xo_warmig.simulator.datatype import Basic, DataType, Enum, MapOf, OptionOf, Record, Ref, SetOf, parse

EPOCH = "19700101T00:00:00Z"
NULL = "OpaqueRef:NULL"


class Field(NamedTuple):
    """A field of a class. ``default_text`` is None when a constructor must be given a value for it."""

    name: str
    type: DataType
    qualifier: str
    state: str
    came: str
    went: str
    default_text: str | None

    @property
    def in_constructor(self) -> bool:
        return self.qualifier in ("RW", "RO/constructor")

    @property
    def mandatory(self) -> bool:
        return self.in_constructor and self.default_text is None


class Param(NamedTuple):
    name: str
    type: DataType
    required: bool


@dataclass(frozen=True)
class Message:
    """A call of a class; ``params`` are those after the session."""

    cls: str
    name: str
    result: DataType
    implicit: bool
    state: str
    came: str
    went: str
    takes_session: bool
    params: tuple[Param, ...]

    @property
    def method(self) -> str:
        return f"{self.cls}.{self.name}"

    @property
    def required(self) -> int:
        """How many parameters must be given, the session not counted."""
        return sum(param.required for param in self.params)

    @property
    def has_async(self) -> bool:
        """Whether ``Async.`` may precede it: explicit calls and constructors, outside the bookkeeping classes."""
        if self.cls in ("session", "event", "message") or not self.takes_session:
            return False
        if self.cls == "task":
            return self.name == "cancel"
        return not self.implicit or self.name in ("create", "destroy")


class Class(NamedTuple):
    name: str
    fields: Mapping[str, Field]
    messages: Mapping[str, Message]


class Datamodel(NamedTuple):
    classes: Mapping[str, Class]
    enums: Mapping[str, tuple[str, ...]]
    methods: Mapping[str, Message]
    spellings: Mapping[str, str]
    """Every accepted spelling of a method (``VM.start``, ``VM_start``) to the one with a dot."""

    @property
    def stored(self) -> list[str]:
        """Classes that have objects of their own, to be got by reference."""
        return [name for name, cls in self.classes.items() if "get_record" in cls.messages]


@cache
def load() -> Datamodel:
    """The datamodel, read once."""
    raw = msgspec.json.decode(resources.files(__package__).joinpath("datamodel.json").read_bytes())
    classes = {name: _class(name, members) for name, members in raw["classes"].items()}
    methods = {message.method: message for cls in classes.values() for message in cls.messages.values()}
    spellings = {f"{m.cls}_{m.name}": method for method, m in methods.items()} | {method: method for method in methods}
    enums = {name: tuple(values) for name, values in raw["enums"].items()}
    return Datamodel(classes, enums, methods, spellings)


def default_of(field: Field, enums: Mapping[str, tuple[str, ...]]) -> Any:
    """The value that a field has when nobody gave one: the datamodel's default, else the zero of its type."""
    if field.default_text is None:
        return zero(field.type, enums)
    return _read_default(field.type, field.default_text)


def zero(kind: DataType, enums: Mapping[str, tuple[str, ...]]) -> Any:
    match kind:
        case Basic(name):
            return {"string": "", "int": 0, "float": 0.0, "bool": False, "datetime": EPOCH, "void": ""}[name]
        case Ref():
            return NULL
        case Enum(name):
            return enums[name][0]
        case SetOf():
            return []
        case MapOf() | Record():
            return {}
    return None


def _class(name: str, members: Mapping[str, Any]) -> Class:
    fields = {row[0]: _field(row) for row in members["fields"]}
    messages = {row[0]: _message(name, row) for row in members["messages"]}
    return Class(name, fields, messages)


def _field(row: list[Any]) -> Field:
    name, kind, qualifier, state, came, went, *default = row
    # The event class describes its snapshot as "<class> record": whichever class the event is of.
    return Field(name, parse(kind), qualifier, state, came, went, default[0] if default else None)


def _message(cls: str, row: list[Any]) -> Message:
    name, result, implicit, state, came, went, takes_session, params = row
    parsed = tuple(Param(param, parse(kind), required) for param, kind, required in params)
    return Message(cls, name, parse(result), implicit, state, came, went, takes_session, parsed)


def _read_default(kind: DataType, text: str) -> Any:
    match kind:
        case Basic("int"):
            return int(text)
        case Basic("float"):
            return float(text)
        case Basic("bool"):
            return text == "true"
        case Ref():
            return NULL
        case SetOf(Basic("int")):
            return [int(item) for item in text.strip("{}").split(",") if item]
        case SetOf():
            return []
        case MapOf():
            return dict(re.findall(r'"([^"]*)" -> "([^"]*)"', text))
        case OptionOf():
            return None
    return text.strip('"')
