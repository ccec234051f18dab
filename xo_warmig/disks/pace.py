"""Limits on how fast bytes pass, shared by all copies under them.

A limit gives out turns: so many bytes, and the moment from which on they may pass. Turns are equal and follow one another, and whoever
is under the limit asks for the next one when the last is used up: so who wants more than there is gets the same, and what one does not
ask for is everybody's. Those who ask are shares: a migration has one, and its disks take the turns of that in the order in which they
ask, so a VM of eight disks gets no more of a pool's limit than a VM of one. A copy under several limits passes bytes for which it has
turns of them all.

Turns are about a hundredth of a second of the limit, so a copy that waits never waits for long: no connection looks dead for it (R15),
and a rate that changes with the hour holds at once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.model.units import KIB

_TURN_SECONDS = 0.01
_LEAST_TURN_BYTES = 4 * KIB
_MOST_TURN_BYTES = BUFFER_BYTES
_FREE_TURN_BYTES = 8 * BUFFER_BYTES  # where there is no limit now: after so much it is asked again
# What was not used up in the last moments is not lost: a thread that slept a little too long catches up.
BURST_SECONDS = 0.05
# The least that a piece of a disk may be: what hashes and zeros are told by.
_LEAST_PIECE_BYTES = 64 * KIB


class Turn(NamedTuple):
    """These bytes may pass from the moment ``due`` on; none: there is no turn yet, and it is to be asked again then."""

    count_bytes: int
    due: float
    seconds: float = 0.0  # that they take at the rate there is


class Limit:
    """So many bytes per second, as ``rate`` says at each moment; None: as fast as it goes."""

    def __init__(self, rate: Callable[[], float | None]) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._taken_until = 0.0  # when all that was given out has passed

    def next_turn(self, now: float) -> Turn:
        """``now`` is in monotonic seconds."""
        rate = self.rate()
        if rate is None:
            return Turn(_FREE_TURN_BYTES, now)
        count_bytes = max(_LEAST_TURN_BYTES, min(_MOST_TURN_BYTES, int(rate * _TURN_SECONDS)))
        with self._lock:
            due = max(self._taken_until, now - BURST_SECONDS)
            self._taken_until = due + count_bytes / rate
        return Turn(count_bytes, due, count_bytes / rate)


class Share:
    """What all copies of one migration have of a limit together: one of them waits for the limit at a time, the others for that one."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._last = Turn(0, 0.0)
        self._waiting: list[object] = []

    def next_turn(self, who: object, now: float) -> Turn:
        """See ``Limit``. ``who`` asks again as it is told, or leaves."""
        with self._lock:
            if who not in self._waiting:
                self._waiting.append(who)
            # Those before it get a turn each; one of them that is late by a turn is passed over.
            earliest = self._last.due + self._waiting.index(who) * self._last.seconds
            if now < earliest:
                return Turn(0, earliest)
            self._waiting.remove(who)
            self._last = self.limit.next_turn(now)
            return self._last

    def leave(self, who: object) -> None:
        """Nobody waits for it. May be called twice."""
        with self._lock:
            if who in self._waiting:
                self._waiting.remove(who)


class Credit:
    """What one copy may pass of the turns that it has taken."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = shares
        self._turns = [Turn(0, 0.0)] * len(shares)

    def due(self, now: float) -> float:
        """``now`` when something may pass, else when to ask again: takes a turn of each share whose last one is used up."""
        for number, share in enumerate(self._shares):
            if not self._turns[number].count_bytes:
                self._turns[number] = share.next_turn(self, now)
        asked_again = [turn.due for turn in self._turns if not turn.count_bytes]
        return max(now, min(asked_again) if asked_again else max((turn.due for turn in self._turns), default=now))

    def spend(self, most_bytes: int) -> int:
        """Use up so many bytes of what is due, or as many as there are; how many those are."""
        count_bytes = min([most_bytes, *(turn.count_bytes for turn in self._turns)])
        self._turns = [turn._replace(count_bytes=turn.count_bytes - count_bytes) for turn in self._turns]
        return count_bytes

    def leave(self) -> None:
        """Wait for no turn any more."""
        for share in self._shares:
            share.leave(self)


class Pace:
    """One copy's way through its shares of the limits in one direction; its threads have it in common."""

    def __init__(
        self,
        shares: Sequence[Share],
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """``wait`` waits for an event, but not longer than so many seconds."""
        self._credit = Credit(shares)
        self._now = now
        self._wait = wait
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.waited_seconds = 0.0

    def take(self, most_bytes: int) -> int:
        """How many of ``most_bytes`` may pass now: waits until it is one at least. All of them once this was stopped."""
        with self._lock:
            before = now = self._now()
            while (due := self._credit.due(now)) > now and not self._stopped.is_set():
                self._wait(self._stopped, due - now)
                now = self._now()
            self.waited_seconds += now - before
            if self._stopped.is_set():
                self._credit.leave()
                return most_bytes
            return self._credit.spend(most_bytes)

    def stop(self) -> None:
        """Nobody waits any more. May be called twice, and from any thread."""
        self._stopped.set()


def piece_bytes_of(lowest_rate: float | None) -> int:
    """How large a copy's pieces may be under limits that never go below ``lowest_rate``: what passes in a second, at most a buffer.

    While one end is given a piece slowly the other gets nothing; this is so that it does not look dead (R15).
    """
    piece_bytes = BUFFER_BYTES
    while lowest_rate is not None and piece_bytes > max(lowest_rate, _LEAST_PIECE_BYTES):
        piece_bytes //= 2
    return piece_bytes
