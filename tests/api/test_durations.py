"""Lifetimes as numbers and as text."""

import pytest

from xo_warmig.api.durations import milliseconds
from xo_warmig.errors import InvalidRequest


@pytest.mark.parametrize(
    ("value", "wanted_ms"),
    [
        (90_000, 90_000),
        (1.6, 2),
        ("1000", 1000),
        ("30 days", 30 * 86_400_000),
        ("12h", 43_200_000),
        (" 1.5 Hours ", 5_400_000),
        (".5 m", 30_000),
        ("2w", 14 * 86_400_000),
        ("0.5 year", 15_778_800_000),
    ],
)
def test_durations(value: float | str, wanted_ms: int) -> None:
    """npm's spellings."""
    assert milliseconds(value) == wanted_ms


@pytest.mark.parametrize("value", ["soon", "1 fortnight", "-1 day", "1 day 2 h", "", "9" * 400])
def test_what_is_no_duration(value: str) -> None:
    """Refused, and not repeated at length."""
    with pytest.raises(InvalidRequest) as refused:
        milliseconds(value)
    assert refused.value.code == "BAD_DURATION"
    assert len(refused.value.message) < 100
