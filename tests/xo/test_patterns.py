"""Patterns, as XO's value-matcher reads them."""

from typing import Any

import pytest

from xo_warmig.xo.filters import fits

VALUE = {"id": "t", "user_id": "u", "client": {"id": "c"}, "tags": ["a", "b"], "on": True, "count": 1}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"user_id": "u", "client": {"id": "c"}}, True),
        ({"user_id": "u", "other": 1}, False),
        ({"id": {"__or": ["s", "t"]}}, True),
        ({"id": {"__or": []}}, False),
        ({"__not": {"user_id": "u"}}, False),
        ({"__and": [{"user_id": "u"}, {"__not": {"id": "s"}}]}, True),
        ({"__not": {"id": "s"}, "user_id": "u"}, False),
        ({"tags": ["b"]}, True),
        ({"tags": ["c"]}, False),
        ({"client": "c"}, False),
        ({"tags": {"length": 2, "0": "a"}}, True),
        ({"tags": {"2": "a"}}, False),
        ({"tags": {}}, True),
        ({"id": {}}, False),
        ({"on": True}, True),
        ({"on": 1}, False),
        ({"count": True}, False),
    ],
)
def test_patterns(pattern: dict[str, Any], expected: bool) -> None:
    """Partial and deep; an operator stands alone in its object."""
    assert fits(VALUE, pattern) is expected
