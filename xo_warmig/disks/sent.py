"""What a copy has sent so far: how far it is on the disk, and hashes of it.

Those of the newest pieces that nobody has confirmed yet are for going on after a break (R22); those of all blocks, in a table, for
reading the disk back at the end.
"""

import threading
from collections import deque
from collections.abc import Iterable

from xo_warmig.disks.block_table import BlockTable
from xo_warmig.model.passes import HASHED_BYTES, Mark, SentPiece
from xo_warmig.model.units import MIB

TAIL_BYTES = 160 * MIB
GRANULARITY_BYTES = HASHED_BYTES  # where a copy goes on, its table does
# A mark is stored every few seconds, so its size has a bound of its own; as much as 160 MiB in granules of 64 KiB and some.
MOST_PIECES = 4096


class SentLog:
    """Written to by the thread that sends, read and set back by whoever runs the copy. Offsets are multiples of 64 KiB."""

    def __init__(self, mark: Mark, *, tail_bytes: int = TAIL_BYTES, table: BlockTable | None = None) -> None:
        """``tail_bytes`` 0: nobody will ask for the newest pieces. ``table``: where the hashes of all blocks go."""
        self.table = table
        self._lock = threading.Lock()
        self._most_bytes = tail_bytes
        self.confirmed = mark.confirmed
        self.sent = mark.sent
        self._tail = deque(mark.tail)
        self._tail_bytes = sum(piece.length for piece in mark.tail)

    def wants_hashes(self, reached: int) -> bool:
        """Whether the pieces that bring the copy to ``reached`` belong to the tail: not where it does not go on in ascending order."""
        return self._most_bytes > 0 and reached > self.sent

    def add(self, pieces: Iterable[SentPiece], reached: int) -> None:
        """These were sent, and with them all below ``reached``."""
        with self._lock:
            self.sent = max(self.sent, reached)
            for piece in pieces:
                self._tail.append(piece)
                self._tail_bytes += piece.length
            while self._tail and (self._tail_bytes > self._most_bytes or len(self._tail) > MOST_PIECES):
                self._tail_bytes -= self._tail.popleft().length

    def confirm(self) -> None:
        """The pool's task says that all that was sent is written."""
        with self._lock:
            self.confirmed = max(self.confirmed, _whole(self.sent))
            self._drop_tail()

    def complete(self, size_bytes: int) -> None:
        """All of the disk's list is written."""
        with self._lock:
            self.confirmed = self.sent = size_bytes
            self._drop_tail()

    def back_to(self, offset: int) -> None:
        """The copy goes on from there: what was sent beyond it will be sent again."""
        if self.table is not None:
            self.table.cut(offset)
        with self._lock:
            self.sent = offset
            while self._tail and self._tail[-1].offset + self._tail[-1].length > offset:
                self._tail_bytes -= self._tail.pop().length

    def forget_unconfirmed(self) -> None:
        """What was sent and not confirmed may be lost."""
        with self._lock:
            self.sent = self.confirmed
            self._drop_tail()

    def mark(self) -> Mark:
        """As it is stored."""
        with self._lock:
            return Mark(confirmed=self.confirmed, sent=max(self.confirmed, _whole(self.sent)), tail=list(self._tail))

    def _drop_tail(self) -> None:
        self._tail.clear()
        self._tail_bytes = 0


def _whole(offset: int) -> int:
    return offset - offset % GRANULARITY_BYTES
