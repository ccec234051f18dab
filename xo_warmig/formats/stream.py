"""Feeding parsers: a parser is a generator that asks a ``Stream`` for bytes, a ``Reader`` drives it with what arrives.

Nothing here does I/O or knows a format. A parser says ``data = yield from stream.exact(12)`` and yields the values that it makes;
between feeds it is suspended. How the bytes were cut into feeds never changes what comes out.
"""

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

from xo_warmig.errors import FormatError

T = TypeVar("T")
R = TypeVar("R")

Parser: TypeAlias = Generator[T | None, None, R]
"""Yields values, and None when it needs more bytes; returns its result."""


class Stream:
    """The bytes that arrived and were not yet taken. Its generators are resumed when ``wanted`` bytes more have arrived."""

    __slots__ = ("_arrived", "_to_drop", "position", "wanted")

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._to_drop = 0
        self.position = 0  # bytes taken since the start
        self.wanted = 0  # bytes that must arrive before the parser can go on

    def append(self, data: bytes | bytearray | memoryview) -> None:
        self.wanted = max(0, self.wanted - len(data))
        if self._to_drop:
            dropped = min(self._to_drop, len(data))
            self._to_drop -= dropped
            self.position += dropped
            data = memoryview(data)[dropped:]
        self._arrived += data

    def exact(self, count_bytes: int) -> Generator[None, None, bytes]:
        """The next ``count_bytes``, which are held in memory until all are there."""
        if count_bytes > len(self._arrived):
            self.wanted = count_bytes - len(self._arrived)
            yield
        with memoryview(self._arrived) as view:
            data = bytes(view[:count_bytes])
        self._take(count_bytes)
        return data

    def skip(self, count_bytes: int) -> Generator[None, None, None]:
        """Drop the next ``count_bytes`` as they arrive, without holding them."""
        here = min(count_bytes, len(self._arrived))
        self._take(here)
        if count_bytes > here:
            self._to_drop = self.wanted = count_bytes - here
            yield

    def take_rest(self) -> bytes:
        """All that arrived and was not taken."""
        rest = bytes(self._arrived)
        self._arrived.clear()
        return rest

    def _take(self, count_bytes: int) -> None:
        del self._arrived[:count_bytes]
        self.position += count_bytes


class Reader(Generic[T, R]):
    """Drives a parser.

    A caller with a blocking source reads just ``wanted`` bytes each time, and so never takes a byte that is not the format's; one
    that is handed data feeds it whole, and finds what came after the end in ``unused``.
    """

    def __init__(self, parse: Callable[[Stream], Parser[T, R]]) -> None:
        self._stream = Stream()
        self._parser = parse(self._stream)
        self._result: list[R] = []
        self._failure: FormatError | None = None
        self.unused = b""
        self._started_with = self._advance()

    @property
    def done(self) -> bool:
        """The parser came to its end; bytes fed from now on are ``unused``."""
        return bool(self._result)

    @property
    def wanted(self) -> int:
        """How many bytes must still arrive before the parser can go on; 0 when it is done."""
        return 0 if self.done else self._stream.wanted

    @property
    def position(self) -> int:
        """Bytes that the parser took."""
        return self._stream.position

    @property
    def result(self) -> R:
        """What the parser returned. Raises FormatError when the bytes end before the format does."""
        if not self.done:
            raise self._failure or FormatError(
                f"the data ends at byte {self.position}, {self._stream.wanted} bytes before it may",
                code="TRUNCATED",
                evidence={"position": self.position, "missing_bytes": self._stream.wanted},
                remedy="Read the same data again: its connection was cut, or its sender failed.",
            )
        return self._result[0]

    def feed(self, data: bytes | bytearray | memoryview) -> list[T]:
        """Give bytes, in pieces of any size; the values that they complete.

        Raises:
            FormatError: the bytes are not what the format says. The reader is of no use afterwards, and raises the same again.
        """
        if self._failure is not None:
            raise self._failure
        if self.done:
            self.unused += bytes(data)
            return []
        self._stream.append(data)
        values, self._started_with = self._started_with, []
        return values + self._advance()

    def _advance(self) -> list[T]:
        values: list[T] = []
        try:
            while self._stream.wanted == 0:
                value = next(self._parser)
                if value is not None:
                    values.append(value)
        except StopIteration as end:
            self._result.append(end.value)
            self.unused = self._stream.take_rest()
        except FormatError as error:
            self._failure = error
            raise
        return values
