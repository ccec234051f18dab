"""Sizes and times as people write them."""

import pytest

from xo_warmig.model.units import GIB, KIB, MIB, TIB, format_bytes, format_seconds, parse_size


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


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("64K", 64 * KIB), ("100m", 100 * MIB), ("1.5G", 3 * GIB // 2), ("2GiB", 2 * GIB)],
)
def test_sizes(text: str, size: int) -> None:
    """Units are powers of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1X", "G", "1 0"])
def test_no_sizes(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
