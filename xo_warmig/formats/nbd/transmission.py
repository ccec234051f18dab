"""Reading from an export: requests, and simple replies, which may come in any order. The data itself does not pass through here."""

import struct
from typing import Generic, TypeVar

from xo_warmig.errors import FormatError, TransferError
from xo_warmig.formats.nbd.numbers import (
    MOST_READ_BYTES,
    REPLY_MAGIC,
    REQUEST_MAGIC,
    SECTOR_BYTES,
    Command,
    NbdError,
    name_of,
)
from xo_warmig.formats.nbd.refusal import refused
from xo_warmig.model.extents import Extent

REPLY_BYTES = 16

_REQUEST = struct.Struct(">IHHQQI")
_REPLY = struct.Struct(">IIQ")

DISCONNECT = _REQUEST.pack(REQUEST_MAGIC, 0, Command.DISC, 0, 0, 0)
"""The request to end the connection, which has no reply."""

T = TypeVar("T")


class Reads(Generic[T]):
    """What a connection was asked for and has not answered yet, each with whatever its asker wants to know it by."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._asked: dict[int, tuple[Extent, T]] = {}
        self._last_handle = 0

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, extent: Extent, what: T) -> bytes:
        """The request for a part of the disk.

        Raises:
            FormatError: no server has to serve it: it is empty, above 2 MiB, unaligned, or beyond the disk.
        """
        if not 0 < extent.length <= MOST_READ_BYTES:
            raise self._unaskable("a length that is not positive and at most 2 MiB", extent)
        if extent.offset % SECTOR_BYTES or extent.length % SECTOR_BYTES:
            raise self._unaskable("an offset or length that is no multiple of 512", extent)
        if extent.offset < 0 or extent.end > self._size_bytes:
            raise self._unaskable("a range outside the disk", extent)
        self._last_handle += 1
        self._asked[self._last_handle] = extent, what
        return _REQUEST.pack(REQUEST_MAGIC, 0, Command.READ, self._last_handle, extent.offset, extent.length)

    def answered(self, header: bytes | bytearray | memoryview) -> T:
        """Which read these 16 bytes answer: all of its data follows them.

        Raises:
            FormatError: they answer none. TransferError: NBD_READ_FAILED.
        """
        magic, error, handle = _REPLY.unpack(header)
        if magic != REPLY_MAGIC:
            raise refused("no reply where one belongs", magic=f"{magic:#010x}")
        if handle not in self._asked:
            raise refused("the reply to a request that is not open", handle=handle)
        extent, what = self._asked.pop(handle)
        if error:
            raise _failed(error, extent)
        return what

    def _unaskable(self, what: str, extent: Extent) -> FormatError:
        return FormatError(
            f"a read of an NBD export has {what}",
            code="BAD_NBD",
            evidence={"offset": extent.offset, "length": extent.length, "size_bytes": self._size_bytes},
        )


def _failed(error: int, extent: Extent) -> TransferError:
    name = name_of(NbdError, error)
    return TransferError(
        f"the NBD server could not read {extent.length} bytes at {extent.offset} of the disk: {name}",
        code="NBD_READ_FAILED",
        evidence={"error": name, "offset": extent.offset, "length": extent.length},
        remedy="See the storage of the disk and the pool's logs, where it is written why.",
    )
