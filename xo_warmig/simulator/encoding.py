"""Values to XML-RPC, each as its type of the datamodel is written by XAPI's own library (rpclib, xmlrpc.ml).

Strings, references, enums and 64-bit integers are untyped values; only ``valid_ref_counts`` of ``event.from`` is made of ``<i4>``.
The envelopes around values are in envelopes, and JSON needs no module: there every plain value is written as it is.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datatype import Basic, DataType, Enum, EventBatch, MapOf, OptionOf, Record, Ref, SetOf

Writer: TypeAlias = Callable[[Any], str]

_SPECIAL = re.compile("[&<>\"'\x00-\x08\x0b\x0c\x0e-\x1f]")
_ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
    | {chr(code): "" for code in range(32) if chr(code) not in "\t\n\r"}
)


def escape(text: str) -> str:
    """Text for XML. Control characters other than tab and line ends are dropped, as XAPI does."""
    return text.translate(_ENTITIES) if _SPECIAL.search(text) else text


def xml(kind: DataType, value: Any) -> str:
    """``<value>...</value>`` of a plain value of that type."""
    return writer(kind)(value)


@cache
def writer(kind: DataType) -> Writer:
    """The function that writes values of a type."""
    match kind:
        case Basic(name):
            return _BASIC[name]
        case Ref() | Enum():
            return _text
        case SetOf(item):
            return _set(writer(item))
        case MapOf(_, value):
            return _map(writer(value))
        case Record(cls):
            return _event if cls == "event" else _record(cls)
        case OptionOf(item):
            return writer(item)
        case EventBatch():
            return _batch


def _text(value: str) -> str:
    return f"<value>{escape(value)}</value>"


def _int(value: int) -> str:
    return f"<value>{value}</value>"


def _bool(value: bool) -> str:
    return "<value><boolean>1</boolean></value>" if value else "<value><boolean>0</boolean></value>"


def _float(value: float) -> str:
    return f"<value><double>{value:.16g}</double></value>"


def _datetime(value: str) -> str:
    return f"<value><dateTime.iso8601>{value}</dateTime.iso8601></value>"


def _void(_value: object) -> str:
    return "<value></value>"


_BASIC: Mapping[str, Writer] = {
    "string": _text,
    "int": _int,
    "bool": _bool,
    "float": _float,
    "datetime": _datetime,
    "void": _void,
}


def _set(item: Writer) -> Writer:
    def write(value: list[Any]) -> str:
        return f"<value><array><data>{''.join(map(item, value))}</data></array></value>"

    return write


def _map(item: Writer) -> Writer:
    def write(value: Mapping[Any, Any]) -> str:
        return struct((str(key), item(inner)) for key, inner in value.items())

    return write


def _record(cls: str) -> Writer:
    fields = datamodel.load().classes[cls].fields
    # The opening of each member is made once: a record is mostly names.
    parts = {name: (f"<member><name>{name}</name>", writer(field.type)) for name, field in fields.items()}

    def write(value: Mapping[str, Any]) -> str:
        members = []
        for name, inner in value.items():
            if inner is not None:
                opening, item = parts[name]
                members.append(f"{opening}{item(inner)}</member>")
        return f"<value><struct>{''.join(members)}</struct></value>"

    return write


def struct(members: Any) -> str:
    """A struct of names and written values."""
    inside = "".join(f"<member><name>{escape(name)}</name>{value}</member>" for name, value in members)
    return f"<value><struct>{inside}</struct></value>"


def _event(value: Mapping[str, Any]) -> str:
    cls = datamodel.event_classes()[value["class"]]
    members = []
    for name, inner in value.items():
        write = writer(Record(cls)) if name == "snapshot" else _int if name == "id" else _text
        members.append((name, write(inner)))
    return struct(members)


def _batch(value: Mapping[str, Any]) -> str:
    counts = struct((cls, f"<value><i4>{n}</i4></value>") for cls, n in value["valid_ref_counts"].items())
    events = f"<value><array><data>{''.join(map(_event, value['events']))}</data></array></value>"
    return struct([("events", events), ("valid_ref_counts", counts), ("token", _text(value["token"]))])
