"""The text of a filter, as a pool reads it."""

from typing import Any

import pytest

from xo_warmig.xapi.filters import any_of, records_with


def test_a_text_names_every_value_of_every_field() -> None:
    """Joined by "or"; without values it is empty."""
    assert any_of([("VM", ["a"]), ("VDI", ["b", "c"])]) == 'field "VM" = "a" or field "VDI" = "b" or field "VDI" = "c"'
    assert any_of([("VM", []), ("VDI", [])]) == ""


@pytest.mark.parametrize("value", ['a" or true', "a\\"])
def test_a_value_never_becomes_part_of_the_grammar(value: str) -> None:
    """There is no way to write a quotation mark in it."""
    with pytest.raises(ValueError, match="no filter"):
        any_of([("uuid", [value])])


async def test_records_with_any_of_the_values_are_brought(pool: Any) -> None:
    """By reference, and no others."""
    refs = [pool.add("VDI", SR=sr) for sr in ("x", "y", "z")]
    uuids = [pool.get("VDI", ref)["uuid"] for ref in refs]
    assert list(await records_with(pool, "VDI", uuid=uuids[:1], SR=["z"])) == [refs[0], refs[2]]
    assert await records_with(pool, "VDI", uuid=[]) == {}
    assert pool.log == ["VDI.get_all_records_where"]
