"""Records of some objects of a class by one call: ``get_all_records_where``, which every release has and no documentation shows.

It brings what is wanted where ``get_all_records`` brings a whole pool. The text's grammar: ocaml/database/db_filter_parse.mly of xapi.
"""

from collections.abc import Iterable
from typing import Any

from xo_warmig.xapi.connection import Calls


async def records_with(calls: Calls, cls: str, /, **values: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By reference, the records that have in any of the named fields any of its ``values``. Nothing is asked where there are none.

    Uuids and references may be asked for alike; sets and maps cannot. Raises ValueError: a value that no text can hold.
    """
    text = any_of(values.items())
    if not text:
        return {}
    records: dict[str, dict[str, Any]] = await calls.call(f"{cls}.get_all_records_where", text)
    return records


def any_of(values: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The text: ``field "uuid" = "a" or field "uuid" = "b"``; "" when there are no values."""
    return " or ".join(f'field "{field}" = {_quoted(value)}' for field, each in values for value in each)


def _quoted(value: str) -> str:
    """There is no escape in it."""
    if '"' in value or "\\" in value:
        raise ValueError(f"no filter can hold {value!r}")
    return f'"{value}"'
