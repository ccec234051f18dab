"""Numbers and times as XO has them."""

from typing import Any
from xmlrpc.client import DateTime

import pytest
from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.times import seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8589934592", 8589934592),
        ("-1", -1),
        ("0.25", 0.25),
        ("9" * 5000, float("inf")),
        ("1" + "0" * 200, 10**200),
        (1.0, 1),
        ("2400.000", 2400),
        ("", 0),
        (" 7 ", 7),
        (".5", 0.5),
        ("0x1F", 31),
        ("1_000", None),
        ("nan", None),
        ("abc", None),
        (UNSET, None),
        (float("nan"), None),
        (None, 0),
        (True, 1),
    ],
)
def test_numbers(value: object, expected: Any) -> None:
    """As JavaScript's unary plus; NaN is null."""
    found = number(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DateTime("20230305T18:18:29Z"), 1678040309),
        ("20230305T18:18:29Z", 1678040309),
        ("20230305T18:18:29", 1678040309),
        ("2023-03-05T18:18:29Z", 1678040309),
        ("20230305T18:18:29+01:00", 1678036709),
        ("1675817747.", 1675817747),
        ("1647628715.91", 1647628715.91),
        (1678040309, 1678040309),
        ("19700101T00:00:00Z", None),
        (DateTime("19700101T00:00:00Z"), None),
        ("0", None),
        ("", None),
        (None, None),
        ("never", None),
    ],
)
def test_times(value: object, expected: Any) -> None:
    """Seconds since the epoch, which itself is no time."""
    assert seconds(value) == expected
