"""The memory of all copies of this process: so many buffers, and how they are shared out.

Each copy that runs has one buffer of its own, which nobody can take from it: a copy that hangs on a dead pool with all it could get
never stops another one. The others are lent, at most an equal part to each, while there are any; a copy wants few unless its source is
far away, where much must be under way (``disks.window``). A copy that would be one too many waits for
its turn before it reads a byte; one in a downtime has places of its own, as those before it may be held back for days.
"""

import threading
from collections import deque
from concurrent.futures import Future

from xo_warmig.disks.buffer import new_buffer
from xo_warmig.model.units import MIB

BUFFER_BYTES = 2 * MIB  # a VHD block, and the most that a chunk of the sparse stream may hold
LEAST_PER_COPY = (
    4  # one being filled, one being sent, two between them: more did not make a copy from a near pool faster
)
MOST_IN_ALL = 64  # 128 MiB, however many disks are copied at once
MOST_SPARE = 16  # that are kept for later while nobody has them
MOST_URGENT = 16  # copies in a downtime, one buffer each beside the others
MOST_COPIES = 20  # one buffer each; 44 are left to lend, so 14 copies from near pools have all that they can use

ZEROS = bytes(BUFFER_BYTES)
"""What is sent for ranges that a source does not store. Everyone's, so it counts to no budget."""


class Budget:
    """``most`` buffers for at most ``copies`` copies at a time, and so many ``urgent`` ones with a buffer each."""

    def __init__(self, most: int = MOST_IN_ALL, copies: int = MOST_COPIES, urgent: int = MOST_URGENT) -> None:
        self._changed = threading.Condition()
        self._to_lend = self._left = most - copies
        self._places = copies
        self._copies = 0
        self._more_places = urgent
        self._queue: deque[Future[Share]] = deque()
        self._urgent: deque[Future[Share]] = deque()
        self._spare: list[bytearray] = []

    def enter(self, *, urgent: bool = False) -> "Future[Share]":
        """A share for one copy, which must ``leave``; at once, or in turn. Cancel the future to give up waiting."""
        place: Future[Share] = Future()
        with self._changed:
            (self._urgent if urgent else self._queue).append(place)
            self._admit()
        return place

    def _admit(self) -> None:
        for queue, places in ((self._urgent, self._places + self._more_places), (self._queue, self._places)):
            while queue and self._copies < places:
                place = queue.popleft()
                if place.set_running_or_notify_cancel():
                    self._copies += 1
                    place.set_result(Share(self))

    def may_hold(self, share: "Share") -> bool:
        """Whether a copy may have one more buffer now."""
        fair = min(share.wanted - 1, max(1, self._to_lend // max(1, self._copies)))
        return share.held == 0 or (share.held <= fair and self._left > 0)

    def take(self, share: "Share") -> bytearray:
        """For ``Share``."""
        with self._changed:
            self._changed.wait_for(lambda: self.may_hold(share))
            return self._lend(share)

    def take_if_free(self, share: "Share") -> bytearray | None:
        """For ``Share``."""
        with self._changed:
            return self._lend(share) if self.may_hold(share) else None

    def _lend(self, share: "Share") -> bytearray:
        self._left -= share.held > 0
        share.held += 1
        return self._spare.pop() if self._spare else new_buffer(BUFFER_BYTES)

    def give_back(self, share: "Share", buffer: bytearray) -> None:
        """For ``Share``."""
        with self._changed:
            share.held -= 1
            self._left += share.held > 0
            if len(self._spare) < MOST_SPARE:
                self._spare.append(buffer)
            self._changed.notify_all()

    def leave(self) -> None:
        """For ``Share``."""
        with self._changed:
            self._copies -= 1
            self._admit()
            self._changed.notify_all()


class Share:
    """One copy's part. Its reader takes buffers, its writer gives them back."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0
        self.wanted = LEAST_PER_COPY

    def want(self, count: int) -> None:
        """So many buffers are of use to this copy from now on; what it holds beyond them it gives back as they are sent."""
        self.wanted = count

    def take(self) -> bytearray:
        """An empty buffer. Waits for one of this copy's own or for one to be lent; the first is there at once."""
        return self._budget.take(self)

    def take_if_free(self) -> bytearray | None:
        """An empty buffer, if there is one at once: for a reader that has filled ones in hand, which nobody gives back before it
        has passed them on.
        """
        return self._budget.take_if_free(self)

    def give_back(self, buffer: bytearray | bytes) -> None:
        """The zeros of all are nobody's to give back."""
        if isinstance(buffer, bytearray):
            self._budget.give_back(self, buffer)

    def leave(self) -> None:
        """The copy has ended, and holds none."""
        self._budget.leave()
