"""CBT bitmaps: what ``VDI.list_changed_blocks`` answers, as extents and back.

One bit per 64 KiB block, the most significant bit of byte 0 for block 0, as long as the disk needs and rounded up to a byte; as text
it is base64 with padding. Source: libs/sm/VDI.py of SM and include/cbt-util.h of blktap.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator

from xo_warmig.errors import FormatError
from xo_warmig.formats.bitmaps import Run, set_runs, with_bits_set
from xo_warmig.model.extents import Extent, clip, join_near
from xo_warmig.model.units import KIB

BLOCK_BYTES = 64 * KIB
# A large disk's text is decoded in pieces, between which other threads have their turn; padding inside makes the result too short.
_PIECE_CHARACTERS = 1024 * KIB


def bitmap_length(size_bytes: int) -> int:
    """How many bytes the bitmap of a disk of ``size_bytes`` has."""
    blocks = -(-size_bytes // BLOCK_BYTES)
    return -(-blocks // 8)


def decode_text(text: str | bytes, size_bytes: int) -> bytes:
    """The bitmap in the base64 text that XAPI sent.

    Raises:
        FormatError: it is no base64, or is not as long as a disk of ``size_bytes`` needs.
    """
    expected = bitmap_length(size_bytes)
    characters = -(-expected // 3) * 4
    if len(text) != characters:
        text = "".join(text.split()) if isinstance(text, str) else b"".join(text.split())
    if len(text) != characters:
        raise _wrong_length(size_bytes, expected, len(text) * 3 // 4)
    try:
        pieces = (text[at : at + _PIECE_CHARACTERS] for at in range(0, characters, _PIECE_CHARACTERS))
        bitmap = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError) as error:
        raise FormatError(
            "the changed-block bitmap is not base64", evidence={"reason": str(error)}, remedy=_REMEDY
        ) from None
    if len(bitmap) != expected:
        raise _wrong_length(size_bytes, expected, len(bitmap))
    return bitmap


def encode_text(bitmap: bytes) -> str:
    """The base64 text that XAPI sends for ``bitmap``."""
    return base64.b64encode(bitmap).decode("ascii")


def changed_extents(bitmap: bytes, size_bytes: int, *, gap_bytes: int = 0) -> Iterator[Extent]:
    """The changed parts of a disk of ``size_bytes``, ascending, neighbours joined.

    Parts with at most ``gap_bytes`` of unchanged bytes between them are given as one, which costs bytes and saves requests. The end
    is clipped to the size; bits beyond it are ignored.

    Raises:
        FormatError: at once, when the bitmap is not as long as the disk needs.
    """
    if len(bitmap) != bitmap_length(size_bytes):
        raise _wrong_length(size_bytes, bitmap_length(size_bytes), len(bitmap))
    extents = (Extent(first * BLOCK_BYTES, length * BLOCK_BYTES) for first, length in set_runs(bitmap))
    return join_near(clip(extents, size_bytes), gap_bytes)


def with_extents(bitmap: bytes, extents: Iterable[Extent], size_bytes: int) -> bytes:
    """The bitmap with every block set, too, that one of these touches."""
    return with_bits_set(bitmap_length(size_bytes), (_touched(extent) for extent in clip(extents, size_bytes)), bitmap)


def from_extents(extents: Iterable[Extent], size_bytes: int) -> bytes:
    """The bitmap in which every block that an extent touches is set."""
    return with_bits_set(bitmap_length(size_bytes), (_touched(extent) for extent in clip(extents, size_bytes)))


def _touched(extent: Extent) -> Run:
    first = extent.offset // BLOCK_BYTES
    return Run(first, -(-extent.end // BLOCK_BYTES) - first)


_REMEDY = "Take a new snapshot and ask again; if it stays, turn changed block tracking of the disk off and on."


def _wrong_length(size_bytes: int, expected: int, actual: int) -> FormatError:
    return FormatError(
        f"the changed-block bitmap has {actual} bytes where a disk of {size_bytes} bytes has {expected}",
        evidence={"size_bytes": size_bytes, "expected_bytes": expected, "actual_bytes": actual},
        remedy=_REMEDY,
    )
