"""Rates and their tables by hour, as they are written and as they hold."""

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.rates import LEAST_RATE, RateTable, WrittenRates, parse_rate, read_rates
from xo_warmig.model.units import MIB


def table(default: int | str = "unlimited", **hours: int | str) -> RateTable:
    """Hours are written with an underscore here: ``h08_18``."""
    written = {text.removeprefix("h").replace("_", "-"): rate for text, rate in hours.items()}
    return read_rates(WrittenRates(default=default, hours=written)).table


def at(hour: float) -> int:
    return int(hour * 60)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100MiB", 100 * MIB), ("100M/s", 100 * MIB), (" 1.5m ", 3 * MIB // 2), ("unlimited", None), ("Unlimited", None)],
)
def test_rates_are_read(text: str, rate: int | None) -> None:
    """Sizes, a second of them or not; and the word."""
    assert parse_rate(text) == rate


def test_hours_hold_from_their_first_minute_to_before_their_last() -> None:
    """Outside of them the default does, and past midnight they go on."""
    found = table("100MiB", h08_18="20MiB", h22_06="unlimited")
    assert [found.at(at(hour)) for hour in (7.99, 8, 17.99, 18, 21.99)] == [
        100 * MIB,
        20 * MIB,
        20 * MIB,
        100 * MIB,
        100 * MIB,
    ]
    assert [found.at(at(hour)) for hour in (22, 23.99, 0, 5.99)] == [None] * 4
    assert found.at(at(6)) == 100 * MIB
    assert found.lowest() == 20 * MIB
    assert str(found) == "08:00-18:00 20.0 MiB/s, 22:00-06:00 unlimited, else 100.0 MiB/s"


def test_hours_may_have_minutes_and_fill_the_day() -> None:
    """24:00 is the end of the day, and so is 00:00."""
    found = read_rates(WrittenRates(hours={"00:30-12:15": 3 * MIB, "12:15 - 24": 2 * MIB, "0-0:30": MIB}))
    assert found.table.at(at(12.25)) == 2 * MIB
    assert [found.table.at(minute) for minute in (0, 29, 30)] == [MIB, MIB, 3 * MIB]
    assert table(h18_00=MIB).at(at(23.9)) == MIB
    assert table(h18_00=MIB).at(0) is None


def test_without_hours_the_default_is_all() -> None:
    """An empty table limits nothing."""
    assert str(table("1MiB")) == "1.0 MiB/s"
    assert table().at(0) is None
    assert table().lowest() is None


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (WrittenRates(default="fast"), "default"),
        (WrittenRates(default=-1), "default"),
        (WrittenRates(default=LEAST_RATE - 1), "default"),
        (WrittenRates(default="0"), "default"),
        (WrittenRates(hours={"08-18": "20 MB per second"}), "hours.08-18"),
        (WrittenRates(hours={"8 to 18": MIB}), "hours.8 to 18"),
        (WrittenRates(hours={"08-25": MIB}), "hours.08-25"),
        (WrittenRates(hours={"24-08": MIB}), "hours.24-08"),
        (WrittenRates(hours={"08:60-09": MIB}), "hours.08:60-09"),
        (WrittenRates(hours={"08-08": MIB}), "hours.08-08"),
        (WrittenRates(hours={"08-18": MIB, "17-20": MIB}), "hours.17-20"),
        (WrittenRates(hours={"22-06": MIB, "05:59-07": MIB}), "hours.05:59-07"),
    ],
)
def test_a_bad_table_is_refused_by_its_key(written: WrittenRates, key: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidRequest) as refused:
        read_rates(written)
    assert (refused.value.code, refused.value.evidence) == ("BAD_RATE", {"key": key})
    assert refused.value.remedy
