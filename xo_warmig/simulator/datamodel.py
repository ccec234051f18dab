"""XAPI's classes, fields, messages and enums, read from ``datamodel.json`` beside this file.

That file is made by ``scripts/compact_datamodel.py`` from the datamodel that the XAPI project publishes. Members of later releases
and removed ones are in it, with the releases that they came and went with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from xo_warmig.simulator.datatype import Basic, DataType, Enum, MapOf, OptionOf, Record, Ref, SetOf, parse
from xo_warmig.simulator.release import NEWEST, has

# Releases that parameters came with: the published datamodel has none for them (reference: ocaml/idl/datamodel*.ml).
_PARAMS_CAME: Mapping[str, Mapping[str, str]] = {
    "session.login_with_password": {"version": "miami", "originator": "clearwater"},
    "VM.snapshot": {"ignore_vdis": "21.4.0"},
    "VM.migrate_send": {"vgpu_map": "inverness", "vdi_format_map": "26.14.0"},
    "VDI.copy": {"base_vdi": "clearwater-felton", "into_vdi": "clearwater-felton"},
    "host.disable": {"auto_enable": "25.31.0"},
}

# Calls of their own since 25.8, with rights of their own; before that the accessors of a field that anybody with a role for tasks could
# write (ocaml/idl/datamodel.ml of the releases before: since miami), of which the published datamodel tells no more.
_OLDER_ACCESSORS = frozenset({"task.set_other_config", "task.add_to_other_config", "task.remove_from_other_config"})

_OLDER_CLASSES = frozenset(
    {"VTPM"}
)  # there from the first release, of which the datamodel tells only how it came to life

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
    came: str
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
    """The datamodel with all that any release has, read once."""
    raw = msgspec.json.decode(resources.files(__package__).joinpath("datamodel.json").read_bytes())
    classes = {name: _class(name, members) for name, members in raw["classes"].items()}
    enums = {name: tuple(values) for name, values in raw["enums"].items()}
    return _datamodel(classes, enums)


@cache
def of_release(release: str) -> Datamodel:
    """What pools of a release know. Calls that were removed are still there, as removed ones; values of enums have no release."""
    everything = load()
    if release == NEWEST:
        return everything
    known = {name: cls for name, cls in everything.classes.items() if has(release, cls.came) or name in _OLDER_CLASSES}
    classes = {name: _as_of(release, cls) for name, cls in known.items()}
    return _datamodel(classes, everything.enums)


@cache
def event_classes(release: str = NEWEST) -> Mapping[str, str]:
    """Classes as events call them, in lower case, to their names."""
    return {name.lower(): name for name in of_release(release).classes}


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


def _datamodel(classes: Mapping[str, Class], enums: Mapping[str, tuple[str, ...]]) -> Datamodel:
    methods = {message.method: message for cls in classes.values() for message in cls.messages.values()}
    spellings = {f"{m.cls}_{m.name}": method for method, m in methods.items()} | {method: method for method in methods}
    return Datamodel(classes, enums, methods, spellings)


def _as_of(release: str, cls: Class) -> Class:
    """Fields that were removed are sent all the same, as xapi does."""
    fields = {name: field for name, field in cls.fields.items() if has(release, field.came)}
    messages = {
        name: _message_as_of(release, each)
        for name, each in cls.messages.items()
        if has(release, each.came) or each.method in _OLDER_ACCESSORS
    }
    return Class(cls.name, cls.came, fields, messages)


def _message_as_of(release: str, message: Message) -> Message:
    """Removed or not at that time, and with the parameters that it took."""
    state = "Removed" if message.went and has(release, message.went) else "Published"
    came = _PARAMS_CAME.get(message.method, {})
    params = tuple(param for param in message.params if has(release, came.get(param.name, "rio")))
    return replace(message, state=state, params=params)


def _class(name: str, members: Mapping[str, Any]) -> Class:
    fields = {row[0]: _field(row) for row in members["fields"]}
    messages = {row[0]: _message(name, row) for row in members["messages"]}
    return Class(name, members["came"], fields, messages)


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
