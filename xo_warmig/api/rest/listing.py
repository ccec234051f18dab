"""How lists are asked for and answered: ``fields``, ``filter``, ``limit``, ``ndjson`` and ``markdown``. Pure."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from xo_warmig.api.rest.answers import Malformed
from xo_warmig.api.state_file import to_json
from xo_warmig.xo.objects import XoObject

_MOST_DIGITS: Final = 100


class Wanted(NamedTuple):
    """``fields`` None: references only; empty: everything. ``limit`` None: all."""

    fields: frozenset[str] | None
    filter: str | None
    limit: int | None
    ndjson: bool
    markdown: bool


def wanted(query: Mapping[str, str]) -> Wanted:
    """Raises Malformed."""
    fields = query.get("fields")
    ndjson, markdown = flag(query, "ndjson"), flag(query, "markdown")
    if ndjson and markdown:
        raise Malformed("ndjson and markdown are two forms", 422)
    return Wanted(
        fields=None if not fields else frozenset() if fields == "*" else frozenset(fields.split(",")),
        filter=query.get("filter") or None,
        limit=count(query["limit"]) if "limit" in query else None,
        ndjson=ndjson,
        markdown=markdown,
    )


def item(value: XoObject, base: str, fields: frozenset[str] | None) -> Any:
    """An object in a list, as far as it is wanted."""
    href = f"{base}/{value['id']}"
    if fields is None:
        return href
    return {key: of for key, of in value.items() if not fields or key in fields} | {"href": href}


def table(items: Iterable[Any]) -> str:
    """A list as a Markdown table, a column for each member that any item has."""
    rows = [each if isinstance(each, dict) else {"href": each} for each in items]
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["href"]
    lines = [columns, ["-" * max(3, len(column)) for column in columns]]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else to_json(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def count(text: str) -> int:
    """A limit as it is written; one that no list reaches is as good as any other. Raises Malformed."""
    if not text.isdecimal():
        raise Malformed(f"limit: {text[:100]!r} is no number", 422)
    return min(int(text), sys.maxsize) if len(text) < _MOST_DIGITS else sys.maxsize


def flag(query: Mapping[str, str], name: str) -> bool:
    """False where it is not given. Raises Malformed."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise Malformed(f"{name}: {query[name]!r} is neither true nor false", 422)
    return text == "true"
