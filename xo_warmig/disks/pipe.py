"""What joins the two threads of a copy: filled buffers one way, through a queue of bounded length."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from xo_warmig.model.extents import Extent

T = TypeVar("T")


class Closed(Exception):
    """The other side is gone."""


class Part(NamedTuple):
    """``length`` bytes for byte ``offset`` of the disk, which a buffer holds from ``start`` on."""

    offset: int
    start: int
    length: int

    @property
    def end(self) -> int:
        """Where it ends on the disk."""
        return self.offset + self.length


class Piece(NamedTuple):
    """A filled buffer, of which these ``parts`` are to be sent. None crosses a 2 MiB block of the disk.

    ``reached``: below this byte of the disk all of the source's blocks were sent once this piece was.
    """

    buffer: bytearray | bytes
    parts: list[Part]
    reached: int


def placed(extents: Iterable[Extent], offset: int) -> list[Part]:
    """Extents of a buffer that holds the disk from byte ``offset`` on."""
    return [Part(offset + start, start, length) for start, length in extents]


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
