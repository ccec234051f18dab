"""Sizes and times for people."""

import pytest

from xo_warmig.model.units import GIB, KIB, MIB, TIB, format_bytes, format_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2 * MIB, "2.0 MiB"),
        (8.25 * GIB, "8.2 GiB"),
        (2040 * GIB, "2.0 TiB"),
        (TIB, "1.0 TiB"),
        (-KIB, "-1.0 KiB"),
    ],
)
def test_bytes_are_written_in_the_largest_unit_that_fits(count: float, text: str) -> None:
    """With one decimal, but for plain bytes."""
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.61, "8.6 s"),
        (61, "1 min 01 s"),
        (3599.7, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_seconds_are_written_in_the_two_largest_units(seconds: float, text: str) -> None:
    """With a tenth below a minute."""
    assert format_seconds(seconds) == text
