"""Which tokens a call deletes."""

from collections.abc import Callable
from typing import Any


def test_a_pattern_wins_over_a_list(new_client: Callable[..., Any]) -> None:
    """As in XO; and what is named by an operator is really deleted."""
    client = new_client()
    kept, gone = (client.call("token.create", description=name) for name in ("kept", "gone"))
    assert client.call("token.deleteOwn", tokens=[kept], pattern={"id": {"__or": [gone]}}) is True
    left = [token["id"] for token in client.call("user.getAuthenticationTokens")]
    assert kept in left
    assert gone not in left
