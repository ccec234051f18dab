"""Taking from a source's stream exactly what is wanted, straight into the buffer where it is wanted."""

from typing import TypeVar

from xo_warmig.disks.budget import BUFFER_BYTES
from xo_warmig.disks.streams import ByteSource
from xo_warmig.errors import TransferError
from xo_warmig.formats.stream import Reader
from xo_warmig.model.units import KIB

V = TypeVar("V")
R = TypeVar("R")

_SCRAP_BYTES = 256 * KIB


class Take:
    """Takes from a stream exactly what is asked for, and knows how far it is."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0
        self._scrap = memoryview(bytearray(_SCRAP_BYTES))

    def fill(self, view: memoryview) -> None:
        """Fill all of ``view``."""
        count_bytes = self._source.readinto(view)
        self._position += count_bytes
        if count_bytes < len(view):
            raise TransferError(
                f"the source's stream ends at byte {self._position}, in the middle of the disk",
                evidence={"side": "source", "bytes": self._position},
                remedy="The pool's task says why, where it still stands. The pass can be repeated.",
            )

    def skip_to(self, position: int) -> None:
        """Drop bytes up to ``position`` of the stream."""
        while self._position < position:
            self.fill(self._scrap[: min(_SCRAP_BYTES, position - self._position)])

    def parse(self, reader: Reader[V, R]) -> R:
        """Feed a parser just what it asks for."""
        while not reader.done:
            wanted = bytearray(min(reader.wanted, BUFFER_BYTES))
            self.fill(memoryview(wanted))
            reader.feed(wanted)
        return reader.result
