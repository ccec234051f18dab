"""Arguments as XML-RPC or JSON brought them, to plain values of the types that the datamodel gives them.

What a wrong type, a bad enum or a missing member of a constructor's record answers is xapi's (ocaml/xapi/server_helpers.ml,
ocaml/idl/ocaml_backend/gen_server.ml); a value of the wrong kind is never guessed at.
"""

import re
import xmlrpc.client
from collections.abc import Mapping
from typing import Any

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datatype import Basic, DataType, Enum, MapOf, OptionOf, Record, Ref, SetOf
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import NEWEST

_INT = re.compile(r"-?[0-9]{1,19}$")
_DATETIME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-]00:?00)?$")


def decode(kind: DataType, raw: Any, release: str = NEWEST) -> Any:
    """A plain value, with the fields that the release knows. INTERNAL_ERROR for a wrong type, INVALID_VALUE for a bad enum or date."""
    match kind:
        case Basic(name):
            return _basic(name, raw)
        case Ref():
            return _string("ref", raw)
        case Enum(name):
            return _enum(name, raw)
        case SetOf(item):
            _expect(list, "set", raw)
            return [decode(item, inner, release) for inner in raw]
        case MapOf(key, value):
            _expect(dict, "map", raw)
            return {decode(key, name, release): decode(value, inner, release) for name, inner in raw.items()}
        case Record(cls):
            _expect(dict, f"{cls} record", raw)
            return constructor_record(cls, raw, release)
        case OptionOf(item):
            return None if raw is None else decode(item, raw, release)
    raise TypeError(f"{kind} is never an argument")


def constructor_record(cls: str, raw: Mapping[str, Any], release: str = NEWEST) -> dict[str, Any]:
    """The fields that a constructor takes: given ones decoded, others at their defaults, everything else ignored. What a later release
    brought counts as not given.

    INTERNAL_ERROR naming the member when one without a default is missing.
    """
    model, known = datamodel.load(), datamodel.of_release(release).classes[cls].fields
    record = {}
    for field in model.classes[cls].fields.values():
        if not field.in_constructor:
            continue
        if field.name in raw and field.name in known:
            record[field.name] = decode(field.type, raw[field.name], release)
        elif field.mandatory:
            raise XapiFailure("INTERNAL_ERROR", f'Server_helpers.Dispatcher_FieldNotFound("{field.name}")')
        else:
            record[field.name] = datamodel.default_of(field, model.enums)
    return record


def _basic(name: str, raw: Any) -> Any:
    match name:
        case "string":
            return _string("string", raw)
        case "bool":
            _expect(bool, "bool", raw)
            return raw
        case "int":
            return _int(raw)
        case "float":
            return _float(raw)
        case "datetime":
            return _datetime(raw)
    return ""


def _string(kind: str, raw: Any) -> str:
    if not isinstance(raw, str):
        raise _wrong(kind, raw)
    return raw


def _int(raw: Any) -> int:
    """A 64-bit integer; from text, too, as XML-RPC has no other place for it."""
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(text, str) or not _INT.match(text) or not -(1 << 63) <= int(text) < 1 << 63:
        raise _wrong("int64", raw)
    return int(text)


def _float(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise _wrong("float", raw)
    try:
        return float(raw)
    except ValueError:
        raise _wrong("float", raw) from None


def _datetime(raw: Any) -> str:
    text = str(raw) if isinstance(raw, str | xmlrpc.client.DateTime) else None
    if text is None:
        raise _wrong("datetime", raw)
    parts = _DATETIME.match(text)
    if parts is None:
        raise XapiFailure("INVALID_VALUE", text)
    year, month, day, hours, minutes, seconds = parts.groups()
    return f"{year}{month}{day}T{hours}:{minutes}:{seconds}Z"


def _enum(name: str, raw: Any) -> str:
    text = _string(name, raw)
    if text not in datamodel.load().enums[name]:
        raise XapiFailure("INVALID_VALUE", name, text)
    return text


def _expect(kind: type, name: str, raw: Any) -> None:
    if not isinstance(raw, kind):
        raise _wrong(name, raw)


def _wrong(kind: str, raw: Any) -> XapiFailure:
    return XapiFailure(
        "INTERNAL_ERROR", f"Rpc.Runtime_error: expected {kind}, got {type(raw).__name__}: {str(raw)[:100]}"
    )
