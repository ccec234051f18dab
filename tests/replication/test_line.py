"""How long bytes take where limits change with the hour."""

import pytest

from xo_warmig.model.rates import RateTable, WrittenRates, read_rates
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.line import Line

HOUR, DAY = 3600.0, 86400.0


def table(default: int | str, **hours: int | str) -> RateTable:
    written = {text.removeprefix("h").replace("_", "-"): rate for text, rate in hours.items()}
    return read_rates(WrittenRates(default=default, hours=written)).table


OFFICE = table("unlimited", h08_18=MIB)
NIGHT = table(MIB, h22_06="unlimited")


@pytest.mark.parametrize(
    ("tables", "minute", "begin", "mebibytes", "seconds"),
    [
        ([], 600, 0.0, 100, 10.0),
        ([table(2 * MIB)], 600, 0.0, 100, 50.0),
        ([table(20 * MIB)], 600, 0.0, 100, 10.0),
        # Ten minutes of the day's rate are left, or have passed when it begins.
        ([OFFICE], 17 * 60 + 50, 0.0, 600 + 1000, 700.0),
        ([OFFICE], 17 * 60 + 50, 600.0, 1000, 100.0),
        ([OFFICE], 17 * 60 + 50, 0.0, 600, 600.0),
        ([OFFICE], 7 * 60 + 59, 0.0, 600 + 60, 120.0),
        # Across midnight, in tables and in time.
        ([NIGHT], 23 * 60, 0.0, 7 * 36000 + 60, 7 * HOUR + 60),
        ([NIGHT], 5 * 60, DAY, 36000, HOUR),
        # The lowest of several at each moment.
        ([OFFICE, table(5 * MIB)], 17 * 60 + 59, 0.0, 60 + 500, 160.0),
        # Weeks: 8 hours of 1 MiB/s and 16 of the half a day.
        ([table(512 * KIB, h08_16=MIB)], 8 * 60, 0.0, 20 * (28800 + 28800) + 28800, 20 * DAY + 8 * HOUR),
    ],
)  # fmt: skip
def test_each_hour_counts_with_its_rate(
    tables: list[RateTable], minute: int, begin: float, mebibytes: int, seconds: float
) -> None:
    """Ten mebibytes per second are what the way makes."""
    line = Line(tables, minute)
    assert line.seconds(mebibytes * MIB, 10 * MIB, begin) == pytest.approx(seconds)


def test_nothing_takes_no_time() -> None:
    """Under any limit."""
    assert Line([OFFICE], 600).seconds(0, 10 * MIB, 0.0) == 0.0


def test_what_passes_at_a_moment() -> None:
    """Also of another day."""
    line = Line([OFFICE], 17 * 60 + 50)
    assert [line.speed(10 * MIB, begin) for begin in (0.0, 601.0, DAY)] == [MIB, 10 * MIB, MIB]
    assert line.speed(KIB, 0.0) == KIB
