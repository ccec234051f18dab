"""What joins the two threads of a copy: filled buffers one way, empty ones back, and a budget in bytes for all copies together."""

import threading
from collections import deque
from typing import Generic, NamedTuple, TypeVar

from xo_warmig.model.extents import Extent
from xo_warmig.model.units import MIB

BUFFER_BYTES = 2 * MIB  # a VHD block, and the most that a chunk of the sparse stream may hold
MOST_PER_COPY = 4  # one being filled, one being sent, two between them: more did not make a copy faster
MOST_IN_ALL = 32  # 64 MiB, however many disks are copied at once

T = TypeVar("T")


class Closed(Exception):
    """The other side is gone."""


class Piece(NamedTuple):
    """A filled buffer: it holds the disk from byte ``offset`` on, and ``extents`` (of the buffer) are to be sent."""

    buffer: bytearray
    offset: int
    extents: list[Extent]


class Budget:
    """Buffers for all copies of this process. A copy that waits for one holds none, so the wait always ends."""

    def __init__(self, most: int = MOST_IN_ALL) -> None:
        self._left = threading.Semaphore(most)
        self._spare: deque[bytearray] = deque()

    def take(self) -> bytearray:
        """An empty buffer, as soon as there is one."""
        self._left.acquire()
        try:
            return self._spare.pop()
        except IndexError:
            return bytearray(BUFFER_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        self._spare.append(buffer)
        self._left.release()


class Channel(Generic[T]):
    """A queue of at most ``most`` items between two threads, which either side may close."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._broken = False

    def put(self, item: T) -> None:
        """Waits while the queue is full. Raises Closed when it was broken."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or len(self._items) < self._most)
            if self._broken:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T | None:
        """The next item; None after the last. Raises Closed when it was broken."""
        with self._changed:
            self._changed.wait_for(lambda: self._broken or self._ended or bool(self._items))
            if self._broken:
                raise Closed
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """No more items will come; those that are queued are still delivered."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def break_off(self) -> list[T]:
        """Both sides stop at once; what was still queued."""
        with self._changed:
            self._broken = True
            left = list(self._items)
            self._items.clear()
            self._changed.notify_all()
            return left
