"""Checks parameters against a schema in XO's dialect and reports as Ajv 8 with ``allErrors`` does.

Same keywords, messages, ``instancePath``, ``schemaPath`` and ``params``, in the same order: everything missing, then everything unknown,
then what is wrong inside each property. Types are not coerced.
"""

import operator
import sys
from collections.abc import Callable
from typing import Any, Final

from xo_warmig.api.dialect import Schema

_LARGEST_INTEGER: Final = 2**53 - 1

Errors = list[dict[str, Any]]


def validate(properties: dict[str, Schema], values: dict[str, Any]) -> tuple[dict[str, Any], Errors]:
    """The values with defaults filled in, and what is wrong with them. A schema without properties accepts anything."""
    errors: Errors = []
    checked = _object(properties, values, "", "#", errors) if properties else dict(values)
    return checked, errors


def _object(
    properties: dict[str, Schema], values: dict[str, Any], at: str, schema_at: str, errors: Errors
) -> dict[str, Any]:
    filled = dict(values)
    for name, schema in properties.items():
        if name not in filled and "default" in schema:
            filled[name] = schema["default"]
    for name, schema in properties.items():
        if name not in filled and not schema.get("optional"):
            message = f"must have required property '{name}'"
            errors.append(_error(at, f"{schema_at}/required", {"missingProperty": name}, message))
    for name in filled:
        if name not in properties:
            path = f"{schema_at}/additionalProperties"
            errors.append(_error(at, path, {"additionalProperty": name}, "must NOT have additional properties"))
    for name, schema in properties.items():
        if name in filled:
            place = (f"{at}/{_pointer(name)}", f"{schema_at}/properties/{_pointer(name)}")
            filled[name] = _value(schema, filled[name], *place, errors)
    return filled


def _value(schema: Schema, value: Any, at: str, schema_at: str, errors: Errors) -> Any:
    kinds = schema.get("type")
    if kinds is not None:
        allowed = [kinds] if isinstance(kinds, str) else kinds
        if not any(_is(kind, value) for kind in allowed):
            errors.append(_error(at, f"{schema_at}/type", {"type": kinds}, f"must be {','.join(allowed)}"))
            return value
        if isinstance(value, float) and value.is_integer() and "integer" in allowed:
            value = int(value)
    match value:
        case str():
            _string(schema, value, at, schema_at, errors)
        case bool() | None:
            pass
        case int() | float():
            _number(schema, value, at, schema_at, errors)
        case list() if "items" in schema:
            return [
                _value(schema["items"], item, f"{at}/{index}", f"{schema_at}/items", errors)
                for index, item in enumerate(value)
            ]
        case dict():
            return _nested(schema, value, at, schema_at, errors)
    return value


def _nested(schema: Schema, value: dict[str, Any], at: str, schema_at: str, errors: Errors) -> dict[str, Any]:
    if "properties" in schema:
        return _object(schema["properties"], value, at, schema_at, errors)
    inner = schema.get("additionalProperties")
    if not isinstance(inner, dict):
        return value
    return {
        key: _value(inner, item, f"{at}/{_pointer(key)}", f"{schema_at}/additionalProperties", errors)
        for key, item in value.items()
    }


def _string(schema: Schema, value: str, at: str, schema_at: str, errors: Errors) -> None:
    if "enum" in schema:
        if value not in schema["enum"]:
            message = "must be equal to one of the allowed values"
            errors.append(_error(at, f"{schema_at}/enum", {"allowedValues": schema["enum"]}, message))
        return
    least = schema.get("minLength", 1)
    if len(value) < least:
        message = f"must NOT have fewer than {least} characters"
        errors.append(_error(at, f"{schema_at}/minLength", {"limit": least}, message))


_COMPARISONS: tuple[tuple[str, str, Callable[[float, float], bool]], ...] = (
    ("maximum", "<=", operator.le),
    ("minimum", ">=", operator.ge),
    ("exclusiveMaximum", "<", operator.lt),
    ("exclusiveMinimum", ">", operator.gt),
)


def _number(schema: Schema, value: float, at: str, schema_at: str, errors: Errors) -> None:
    for keyword, sign, holds in _COMPARISONS:
        if keyword in schema and not holds(value, schema[keyword]):
            limit = schema[keyword]
            params = {"comparison": sign, "limit": limit}
            errors.append(_error(at, f"{schema_at}/{keyword}", params, f"must be {sign} {limit}"))


def _is(kind: str, value: Any) -> bool:
    """JSON Schema's types as JavaScript sees them: 1.0 is an integer, true is no number. What JavaScript cannot count is none."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        case "integer":
            return _is("number", value) and float(value).is_integer() and abs(value) <= _LARGEST_INTEGER
        case _:
            raise ValueError(f"unknown type {kind!r} in a schema")


def _error(at: str, schema_at: str, params: dict[str, Any], message: str) -> dict[str, Any]:
    keyword = schema_at.rsplit("/", 1)[1]
    return {"instancePath": at, "schemaPath": schema_at, "keyword": keyword, "params": params, "message": message}


def _pointer(name: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
