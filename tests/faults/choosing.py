"""Points at which migrations are struck, and the choice among them by a fixed seed."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tests.faults.points import numbered

SEED = 20
SIDES = ("source", "target")
_COMMIT = " commit "
_OPENINGS = ("open_export", "open_import")
# Less than the shortest transfer has here: that of a final pass with one changed cluster for each disk.
_MOST_CUT_BYTES = 64 << 10


class Point(msgspec.Struct, frozen=True):
    """Where a migration is struck: its variant, and one point after the other, each ``name:nth``.

    With an incident (see ``incidents``) it is that which happens there, and the server is not killed.
    """

    variant: str
    strikes: tuple[str, ...]
    incident: str = ""

    def __str__(self) -> str:
        return "/".join((self.variant, *([self.incident] if self.incident else []), *self.strikes))

    @property
    def stratum(self) -> tuple[str, ...]:
        """Points that are alike: with the same names, whatever the variant."""
        return (self.incident.partition("@")[0], *(strike.rpartition(":")[0] for strike in self.strikes))


def parse_point(text: str) -> Point:
    """What ``str`` made of it."""
    variant, *strikes = text.split("/")
    incident = strikes.pop(0) if strikes[0].startswith(("kill-", "cut@")) else ""
    return Point(variant, tuple(strikes), incident)


def points_of(variant: str, passed: Sequence[str]) -> list[Point]:
    """Every point that a good migration passed."""
    return [Point(variant, (name,)) for name in numbered(list(passed))]


def effects_of(point: Point) -> tuple[str, ...]:
    """What it is before or after of."""
    return tuple(name.partition(" ")[2] for name in point.stratum if name)


def chosen(
    points: Iterable[Point], count: int, stratum_of: Callable[[Point], tuple[str, ...]] = lambda point: point.stratum
) -> list[Point]:
    """So many, one of each stratum first, by the fixed seed. Which variants they are of is left to chance."""
    chance = random.Random(SEED)
    strata: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in points:
        strata[stratum_of(point)].append(point)
    for members in strata.values():
        chance.shuffle(members)
    order = sorted(strata)
    chance.shuffle(order)
    rounds = itertools.zip_longest(*(strata[key] for key in order))
    return [point for turn in rounds for point in turn if point is not None][:count]


def states(points: Sequence[Point]) -> list[Point]:
    """One point for each state that a killed server can leave, of all that good migrations passed, in their order.

    Between the end of one effect and the beginning of the next lies nothing, so a beginning that directly follows an end is left out;
    and one that follows another commit's beginning, as that commit is there or not, which its own two points show. One that follows
    a call's beginning stays: that call is under way.
    """
    found: list[Point] = []
    previous = ""
    for point in points:
        name = f"{point.variant} {point.stratum[-1]}"
        seen = previous.startswith((f"{point.variant} after ", f"{point.variant} before{_COMMIT}"))
        if not (seen and name.startswith(f"{point.variant} before ")):
            found.append(point)
        previous = name
    return found


def kills(points: Iterable[Point]) -> list[Point]:
    """Each pool's process killed at each point; of commits with no call in between, at the first: no pool sees the difference."""
    found: list[Point] = []
    previous = ""
    for point in points:
        name = f"{point.variant} {point.stratum[-1]}"
        if not (_COMMIT in name and _COMMIT in previous and previous.split()[0] == point.variant):
            found += [Point(point.variant, point.strikes, f"kill-{side}") for side in SIDES]
        previous = name
    return found


def cuts(points: Sequence[Point], chance: random.Random) -> list[Point]:
    """Each transfer cut at a byte of its own."""
    names = {point: point.strikes[0].rpartition(":")[0] for point in points}
    opening = [point for point, name in names.items() if name.startswith("before") and name.endswith(_OPENINGS)]
    return [Point(point.variant, point.strikes, f"cut@{chance.randrange(1, _MOST_CUT_BYTES)}") for point in opening]
