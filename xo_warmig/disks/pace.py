"""Limits on how fast bytes pass, shared by all copies under them.

A limit gives out turns: so many bytes, and the moment from which on they may pass. Turns are equal and follow one another, and a copy
asks for its next one when it has used up the last: so copies that want more than there is get the same, and what one does not ask for
is everybody's. A copy under several limits passes bytes for which it has turns of them all.

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
    """These bytes may pass from the moment ``due`` on."""

    count_bytes: int
    due: float


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
        return Turn(count_bytes, due)


class Credit:
    """What one copy may pass of the turns that it has taken."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._left = [0] * len(limits)

    def due(self, now: float) -> float:
        """From when on something may pass: takes a turn of each limit whose last one is used up."""
        due = now
        for number, limit in enumerate(self._limits):
            if not self._left[number]:
                turn = limit.next_turn(now)
                self._left[number] = turn.count_bytes
                due = max(due, turn.due)
        return due

    def spend(self, most_bytes: int) -> int:
        """Use up so many bytes of what is due, or as many as there are; how many those are."""
        count_bytes = min([most_bytes, *self._left])
        self._left = [left - count_bytes for left in self._left]
        return count_bytes


class Pace:
    """One copy's way through its limits in one direction; its threads share it."""

    def __init__(
        self,
        limits: Sequence[Limit],
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """``wait`` waits for an event, but not longer than so many seconds."""
        self._credit = Credit(limits)
        self._now = now
        self._wait = wait
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.waited_seconds = 0.0

    def take(self, most_bytes: int) -> int:
        """How many of ``most_bytes`` may pass now: waits until it is one at least. All of them once this was stopped."""
        with self._lock:
            before = self._now()
            due = self._credit.due(before)
            while (now := self._now()) < due and not self._stopped.is_set():
                self._wait(self._stopped, due - now)
            self.waited_seconds += now - before
            return most_bytes if self._stopped.is_set() else self._credit.spend(most_bytes)

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
