"""Method parameters in Xen Orchestra's schema dialect, made from the msgspec types.

The dialect (packages/xo-server/src/xo-mixins/_xoJsonSchema.mjs): a listed property is required unless ``optional``; unknown ones are
refused where any is listed; a string is non-empty unless ``minLength`` says otherwise; ``default`` fills in what is missing. It is what
``system.getMethodsInfo`` shows and what ``validation`` checks against.
"""

from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

_BOUNDS = (("ge", "minimum"), ("gt", "exclusiveMinimum"), ("le", "maximum"), ("lt", "exclusiveMaximum"))


@cache
def property_map(parameters: type[msgspec.Struct] | None) -> dict[str, Schema]:
    """The schema of each property; empty when the method takes anything (no type, or one that does not forbid unknown fields).

    Made once for each type, as every call asks for it: not to be changed.
    """
    if parameters is None or not parameters.__struct_config__.forbid_unknown_fields:
        return {}
    kind = inspect.type_info(parameters)
    assert isinstance(kind, inspect.StructType)
    return {field.encode_name: _property(field) for field in kind.fields}


def _property(field: inspect.Field) -> Schema:
    schema = _schema(field.type)
    if field.required:
        return schema
    schema["optional"] = True
    if field.default_factory is not msgspec.NODEFAULT:
        schema["default"] = msgspec.to_builtins(field.default_factory())
    elif field.default not in (msgspec.NODEFAULT, msgspec.UNSET, None):
        schema["default"] = msgspec.to_builtins(field.default)
    return schema


def _schema(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.Metadata(type=inner):
            return _schema(inner)
        case inspect.AnyType():
            return {}
        case inspect.ListType(item_type=item):
            return {"type": "array", "items": _schema(item)}
        case inspect.DictType(value_type=inspect.AnyType()):
            return {"type": "object"}
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case inspect.StructType(fields=fields):
            return {"type": "object", "properties": {field.encode_name: _property(field) for field in fields}}
        case inspect.UnionType(types=kinds):
            return _union(list(kinds))
        case _:
            return _scalar(kind)


def _scalar(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.IntType():
            return {"type": "integer"} | _bounds(kind)
        case inspect.FloatType():
            return {"type": "number"} | _bounds(kind)
        case inspect.StrType(min_length=least):
            return {"type": "string"} if least == 1 else {"type": "string", "minLength": least or 0}
        case inspect.EnumType(cls=enumeration):
            return {"type": "string", "enum": [member.value for member in enumeration]}
        case inspect.LiteralType(values=values) if all(isinstance(value, str) for value in values):
            return {"type": "string", "enum": list(values)}
        case _:
            raise TypeError(f"no form in XO's dialect for {kind}")


def _bounds(kind: inspect.IntType | inspect.FloatType) -> Schema:
    return {word: limit for name, word in _BOUNDS if (limit := getattr(kind, name)) is not None}


def _union(kinds: list[inspect.Type]) -> Schema:
    """Scalars only: their types as a list, their own keywords side by side.

    An ``enum`` would bind the other types too, so it is left out: ``invocation`` refuses what the type does not have.
    """
    merged: Schema = {}
    types: list[str] = []
    for schema in map(_schema, kinds):
        types.append(schema.pop("type"))
        schema.pop("enum", None)
        merged |= schema
    return {"type": types if len(types) > 1 else types[0]} | merged
