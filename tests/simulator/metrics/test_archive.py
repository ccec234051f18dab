"""Rings of averages, as rrdd keeps them."""

import math

from xo_warmig.simulator.metrics.archive import Archive


def filled(values: list[float], begin: int = 1200) -> Archive:
    """A figure of every step after ``begin``."""
    archive = Archive()
    for number, value in enumerate(values, 1):
        archive.add(begin + 5 * number, {"vbd_xvda_write": value})
    return archive


def test_a_longer_row_is_the_average_of_its_steps() -> None:
    """At whole minutes; NaN where less than half of them was measured."""
    (first, second) = filled([*range(12), *[math.nan] * 7, *[5.0] * 5]).best(start=0, interval=60, now=1320).rows
    assert (first.time, first.figures) == (1260, {"vbd_xvda_write": 5.5})
    assert second.time == 1320
    assert math.isnan(second.figures["vbd_xvda_write"])


def test_the_finest_ring_that_goes_back_far_enough_serves() -> None:
    """Ten minutes of steps, two hours of minutes."""
    archive = filled([1.0] * 200)
    now = 1200 + 1000
    assert archive.best(start=now - 595, interval=5, now=now).steps == 1
    assert archive.best(start=now - 600, interval=5, now=now).steps == 12
    assert archive.best(start=now - 60, interval=60, now=now).steps == 12
    assert archive.best(start=0, interval=5, now=now).steps == 12
    assert len(archive.finest.rows) == 120
    assert archive.names() == ["vbd_xvda_write"]


def test_a_copy_stays_as_it_was() -> None:
    """Whoever reads it may take their time."""
    archive = filled([1.0, 2.0])
    copy = archive.copy()
    archive.add(1215, {"vbd_xvda_write": 3.0})
    assert [row.time for row in copy.finest.rows] == [1205, 1210]
    assert len(archive.finest.rows) == 3
