"""How lists are asked for and answered: ``fields``, ``filter``, ``limit`` and ``ndjson``. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from xo_warmig.api.rest.answers import Malformed
from xo_warmig.xo.objects import XoObject


class Wanted(NamedTuple):
    """``fields`` None: references only; empty: everything. ``limit`` None: all."""

    fields: frozenset[str] | None
    filter: str | None
    limit: int | None
    ndjson: bool


def wanted(query: Mapping[str, str]) -> Wanted:
    """Raises Malformed."""
    fields = query.get("fields")
    return Wanted(
        fields=None if not fields else frozenset() if fields == "*" else frozenset(fields.split(",")),
        filter=query.get("filter") or None,
        limit=_count(query["limit"]) if "limit" in query else None,
        ndjson=flag(query, "ndjson"),
    )


def item(value: XoObject, base: str, fields: frozenset[str] | None) -> Any:
    """An object in a list, as far as it is wanted."""
    href = f"{base}/{value['id']}"
    if fields is None:
        return href
    return {key: of for key, of in value.items() if not fields or key in fields} | {"href": href}


def _count(text: str) -> int:
    if not text.isdecimal():
        raise Malformed(f"limit: {text!r} is no number", 422)
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """False where it is not given. Raises Malformed."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise Malformed(f"{name}: {query[name]!r} is neither true nor false", 422)
    return text == "true"
