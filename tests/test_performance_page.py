"""The tables of docs/performance.md: made of what benchmarks print, one place for each."""

from datetime import UTC, datetime

import pytest

from bench.page import PAGE, goal_of, table_of, with_table

RESULT = {
    "name": "copy",
    "figures": {
        "ours / curl": {"median": 1.25, "least": 1.0, "most": 1.5, "unit": "", "runs": 5},
        "memory": {"median": 120.0, "least": 120.0, "most": 120.0, "unit": "MiB", "runs": 1},
    },
    "goals": {"ours / curl": {"atLeast": 1.0, "atMost": None}},
}


def test_a_table_has_every_figure_and_its_goal() -> None:
    table = table_of(RESULT, datetime(2026, 1, 2, tzinfo=UTC))
    assert "Measured 2026-01-02 on" in table
    assert "| ours / curl | 1.25  | 1 to 1.5 | 5 | at least 1 |" in table
    assert "| memory | 120 MiB |  | 1 |  |" in table


@pytest.mark.parametrize(("value", "told"), [(0.3, "at most 0.3"), (0.31, "**not reached: at most 0.3**")])
def test_a_goal_that_is_not_reached_says_so(value: float, told: str) -> None:
    assert goal_of({"atLeast": None, "atMost": 0.3}, value) == told


def test_the_page_has_a_place_for_each_and_keeps_the_rest() -> None:
    page = PAGE.read_text()
    for name in ("copy", "latency", "delta", "downtime", "memory", "answering", "inventory", "recovery", "prediction"):
        changed = with_table(page, name, "figures")
        assert f"<!-- {name} -->\nfigures\n<!-- end of {name} -->" in changed
        assert changed.partition(f"<!-- {name} -->")[0] == page.partition(f"<!-- {name} -->")[0]
    with pytest.raises(ValueError, match="no place for other"):
        with_table(page, "other", "figures")
