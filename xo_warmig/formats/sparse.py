"""XAPI's sparse stream: scattered writes to a raw disk over ``PUT /import_raw_vdi?chunked``.

A sequence of chunks, each a byte offset (u64) and a length (u32), both little endian, and then that many bytes; the end is a chunk of
offset 0 and length 0. The receiver writes with O_DIRECT, so both are multiples of 512; it reads the length as a signed number and
buffers 2 MiB. Source: ocaml/vhd-tool/src/chunked.ml and serve_chunked_to_raw of impl.ml in xapi.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from xo_warmig.errors import FormatError
from xo_warmig.formats.stream import Parser, Reader, Stream
from xo_warmig.model.extents import Extent
from xo_warmig.model.units import MIB

HEADER_BYTES = 12
END = bytes(HEADER_BYTES)
SECTOR_BYTES = 512
MOST_CHUNK_BYTES = 2 * MIB  # what a sender should keep to
MOST_LENGTH = 2**31 - 512  # what the length field can say
MOST_PIECE_BYTES = 2 * MIB

_HEADER = struct.Struct("<QI")


class SparsePiece(NamedTuple):
    """Bytes to be written at ``offset``. A chunk longer than 2 MiB comes in several pieces."""

    offset: int
    data: bytes


def chunk_header(offset: int, length: int) -> bytes:
    """The 12 bytes before ``length`` bytes of data for ``offset``.

    Raises:
        FormatError: one of them is negative or no multiple of 512, or the length is 0 or beyond the field.
    """
    _check(offset, length, 2**63)
    return _HEADER.pack(offset, length)


def parse_chunk_header(header: bytes | bytearray | memoryview, size_bytes: int) -> Extent | None:
    """Where the data after these 12 bytes goes, on a disk of ``size_bytes``; None for the end marker.

    Raises:
        FormatError: the chunk is empty, unaligned, too long, or reaches beyond the disk.
    """
    if header == END:
        return None
    offset, length = _HEADER.unpack(header)
    _check(offset, length, size_bytes)
    return Extent(offset, length)


def sparse_reader(size_bytes: int) -> Reader[SparsePiece, int]:
    """A reader of a sparse stream for a disk of ``size_bytes``; its result is the number of bytes of data.

    It holds at most 2 MiB beside what it is fed with.
    """
    return Reader(_parser(size_bytes))


def _parser(size_bytes: int) -> Callable[[Stream], Parser[SparsePiece, int]]:
    def parse(stream: Stream) -> Parser[SparsePiece, int]:
        total_bytes = 0
        while True:
            header = yield from stream.exact(HEADER_BYTES)
            chunk = parse_chunk_header(header, size_bytes)
            if chunk is None:
                return total_bytes
            for offset in range(chunk.offset, chunk.end, MOST_PIECE_BYTES):
                data = yield from stream.exact(min(MOST_PIECE_BYTES, chunk.end - offset))
                yield SparsePiece(offset, data)
            total_bytes += chunk.length

    return parse


def _check(offset: int, length: int, size_bytes: int) -> None:
    if length <= 0 or length > MOST_LENGTH:
        raise _refused("a length that is not positive and below 2 GiB", offset, length, size_bytes)
    if offset % SECTOR_BYTES or length % SECTOR_BYTES:
        raise _refused("an offset or length that is no multiple of 512", offset, length, size_bytes)
    if offset < 0 or offset + length > size_bytes:
        raise _refused("a range outside the disk", offset, length, size_bytes)


def _refused(what: str, offset: int, length: int, size_bytes: int) -> FormatError:
    return FormatError(
        f"a chunk of the sparse stream has {what}",
        evidence={"offset": offset, "length": length, "size_bytes": size_bytes},
        remedy="Send chunks of at most 2 MiB, aligned to 512 bytes, within the disk, and end with 12 zero bytes.",
    )
