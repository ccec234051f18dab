"""What a benchmark says: figures as medians with their spread, the goals, and whether they hold."""

import json
import statistics
import sys
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured quantity over the runs of one benchmark."""

    median: float
    least: float
    most: float
    unit: str
    runs: int

    def __str__(self) -> str:
        return f"{self.median:.3g} {self.unit} ({self.least:.3g} to {self.most:.3g}, {self.runs} runs)"


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """``figure``'s median is to be at least, or at most, ``bound``."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, figures: dict[str, Figure]) -> bool:
        value = figures[self.figure].median
        above = self.at_least is None or value >= self.at_least
        below = self.at_most is None or value <= self.at_most
        return above and below


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer of one benchmark."""

    name: str
    figures: dict[str, Figure]
    goals: list[Goal]

    @property
    def holds(self) -> bool:
        return all(goal.holds(self.figures) for goal in self.goals)


def figure(values: Sequence[float], unit: str) -> Figure:
    """Median and range of ``values``."""
    return Figure(median=statistics.median(values), least=min(values), most=max(values), unit=unit, runs=len(values))


def tell(result: Result, *, as_json: bool) -> int:
    """Print it; the exit status: 1 when a goal does not hold."""
    if as_json:
        goals = {g.figure: {"atLeast": g.at_least, "atMost": g.at_most} for g in result.goals}
        figures = {name: msgspec.to_builtins(value) for name, value in result.figures.items()}
        json.dump({"name": result.name, "figures": figures, "goals": goals, "holds": result.holds}, sys.stdout)
        print()
    else:
        width = max(map(len, result.figures))
        for name, value in result.figures.items():
            print(f"{name:<{width}}  {value}")
        for goal in result.goals:
            bound = f">= {goal.at_least}" if goal.at_least is not None else f"<= {goal.at_most}"
            print(f"goal: {goal.figure} {bound}: {'holds' if goal.holds(result.figures) else 'DOES NOT HOLD'}")
    return 0 if result.holds else 1
