"""What joins the reading side of a copy and its writing one: filled buffers one way.

Where reading a stream is work of its own, as over TLS, a thread does it, and a queue of bounded length is between. Else the thread that
writes makes each piece when it wants it: buffers do not pass from one processor to another then, and stay in its caches.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from xo_warmig.errors import TransferError
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


Pieces: TypeAlias = Generator[Piece, None, None]
"""All that are to be sent. Whoever takes one gives its buffer back. Closing it ends the reading."""


class PieceSource(Protocol):
    """Where a writer gets its pieces from."""

    def get(self) -> Piece | None:
        """The next one; None after the last. Raises Closed when the reading failed, or what it failed with."""
        ...


class Inline:
    """Pieces that are made by the thread that asks for them. Fits ``PieceSource``."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def get(self) -> Piece | None:
        """A failure says that it is the source's."""
        try:
            return next(self._pieces, None)
        except TransferError as error:
            error.evidence.setdefault("side", "source")
            raise


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


def feed(pieces: Pieces, channel: Channel[Piece], give_back: Callable[[bytearray | bytes], None]) -> None:
    """Put all pieces into the channel, and its end: for a thread of its own. Raises Closed when the channel was broken."""
    try:
        for piece in pieces:
            try:
                channel.put(piece)
            except Closed:
                give_back(piece.buffer)
                raise
    finally:
        pieces.close()
    channel.end()
