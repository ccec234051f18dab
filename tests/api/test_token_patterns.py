"""Patterns of tokens to delete, as XO's value-matcher reads them."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.api.methods.token import matches

TOKEN = {"id": "t", "user_id": "u", "client": {"id": "c"}, "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("pattern", "fits"),
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
    ],
)
def test_patterns(pattern: dict[str, Any], fits: bool) -> None:
    """Partial and deep; an operator stands alone in its object."""
    assert matches(TOKEN, pattern) is fits


def test_a_pattern_wins_over_a_list(new_client: Callable[..., Any]) -> None:
    """As in XO; and what is named by an operator is really deleted."""
    client = new_client()
    kept, gone = (client.call("token.create", description=name) for name in ("kept", "gone"))
    assert client.call("token.deleteOwn", tokens=[kept], pattern={"id": {"__or": [gone]}}) is True
    left = [token["id"] for token in client.call("user.getAuthenticationTokens")]
    assert kept in left
    assert gone not in left
