"""The byte streams that a copy reads from and writes to. They block: a copy runs in threads, off the event loop."""

from collections.abc import Sequence
from typing import Protocol


class ByteSource(Protocol):
    """The body of an export, as it arrives."""

    @property
    def apart(self) -> bool:
        """Whether it takes a thread's time: it is encrypted, or held back."""
        ...

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` whole, unless the stream ends first; the number of bytes put there.

        Raises:
            TransferError: the connection broke. TransferStalled: no byte came for the stall time (R15).
        """
        ...

    def close(self) -> None:
        """Close the connection. May be called twice, and from another thread: a blocked ``readinto`` then raises."""
        ...


class ByteSink(Protocol):
    """The body of an import, as it is sent."""

    @property
    def apart(self) -> bool:
        """See ``ByteSource``."""
        ...

    def writev(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send all of all buffers, in order; they may be reused on return.

        Raises:
            TransferError: the connection broke. TransferStalled: no byte was taken for the stall time (R15).
        """
        ...

    def close(self) -> None:
        """Close the connection. May be called twice, and from another thread: a blocked ``writev`` then raises."""
        ...


class ByteDuplex(ByteSource, ByteSink, Protocol):
    """A connection that is asked and answers. Reading and writing are up to one thread."""
