"""How many connections to a disk are worth their while, on a clock that costs no time."""

from collections.abc import Callable

import pytest

from xo_warmig.disks.climb import Climb
from xo_warmig.model.units import MIB


class Copying:
    """A copy that gets the connections that it wants, up to so many, and reads as fast over them as ``rate`` says."""

    def __init__(self, climb: Climb, rate: Callable[[int], float], free: int = 99) -> None:
        self.climb = climb
        self.rate = rate
        self.free = free
        self.now = self.done = 0.0
        self.connections = climb.wanted
        self.most = 0

    def run(self, seconds: float) -> int:
        """Looks each second; how many it has in the end."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.done += self.rate(self.connections)
            wanted = self.climb.look(self.now, int(self.done), self.connections)
            self.connections = min(wanted, self.free)
            self.most = max(self.most, self.connections)
        return self.connections


def each(most: int) -> Callable[[int], float]:
    """Storage where every connection adds as much, up to so many."""
    return lambda connections: 50.0 * MIB * min(connections, most)


@pytest.mark.parametrize(
    ("gains_up_to", "free", "expected"), [(4, 99, 4), (6, 99, 6), (8, 99, 8), (99, 8, 8), (1, 99, 4)]
)
def test_more_are_had_while_each_makes_it_faster(gains_up_to: int, free: int, expected: int) -> None:
    """Slow storage gets as many as a host gives; where nothing is gained it stays at what is usual."""
    assert Copying(Climb(4, 4, 16), each(gains_up_to), free).run(55) == expected


def test_a_gain_of_less_than_a_tenth_is_none() -> None:
    """From ten to eleven is none any more."""
    assert Copying(Climb(4, 4, 16), each(99)).run(58) == 11


def test_what_gained_nothing_is_tried_again_and_less_and_less() -> None:
    """Storage may become slower; but an attach is not free."""
    tries = 0
    copying = Copying(Climb(4, 4, 16), each(4))
    for _ in range(1800):
        before = copying.connections
        tries += copying.run(1) > before
    assert 4 <= tries <= 6
    assert copying.most == 5


def test_one_that_began_with_few_gets_what_is_usual_without_a_proof() -> None:
    """Its companions were many then."""
    assert Copying(Climb(1, 4, 16), each(1)).run(2) == 4
    assert Copying(Climb(1, 1, 1), each(9)).run(300) == 1


def test_a_copy_that_shares_what_there_is_judges_nothing_by_it() -> None:
    """Its share grows again when others have ended, and then it climbs on."""
    copying = Copying(Climb(4, 4, 16), each(8), free=2)
    assert copying.run(30) == 2
    copying.free = 99
    assert copying.run(40) == 8


def test_a_copy_that_stands_still_wants_no_more() -> None:
    """Its target, or a limit, holds it back."""
    assert Copying(Climb(4, 4, 16), lambda _: 0.0).run(60) == 4
