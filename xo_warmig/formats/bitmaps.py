"""Runs of set bits in a bitmap whose first bit is the most significant of byte 0, as VHD and CBT have them."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# Runs of equal full bytes are found by the regular expression engine; only bytes with both kinds of bits are looked at one by one.
_NOT_ZERO = re.compile(rb"\xff+|[^\x00\xff]+")
# It takes its time over zeros, which most of a large disk's bitmap is: they are passed over by whole pieces, at the speed of memcmp.
_PIECE = bytes(4096)
_COUNTED_BYTES = 1024 * 1024


class Run(NamedTuple):
    """``length`` set bits, from bit ``first``."""

    first: int
    length: int


def _runs_in_byte(value: int) -> tuple[Run, ...]:
    return tuple(Run(m.start(), len(m[0])) for m in re.finditer("1+", f"{value:08b}"))


_RUNS_IN_BYTE = tuple(_runs_in_byte(value) for value in range(256))


def set_runs(bitmap: bytes | bytearray | memoryview) -> Iterator[Run]:
    """The runs of set bits, ascending, each as long as it can be."""
    first, end = 0, 0
    for run_first, length in _raw_runs(bitmap):
        if run_first != end:
            if end > first:
                yield Run(first, end - first)
            first = run_first
        end = run_first + length
    if end > first:
        yield Run(first, end - first)


def _raw_runs(bitmap: bytes | bytearray | memoryview) -> Iterator[tuple[int, int]]:
    """The same bits, cut at bytes."""
    data = bytes(bitmap) if isinstance(bitmap, memoryview) else bitmap
    for piece in range(0, len(data), len(_PIECE)):
        if data.startswith(_PIECE, piece):
            continue
        for match in _NOT_ZERO.finditer(data, piece, piece + len(_PIECE)):
            start, end = match.span()
            if data[start] == 0xFF:
                yield start * 8, (end - start) * 8
                continue
            for index in range(start, end):
                for first, length in _RUNS_IN_BYTE[data[index]]:
                    yield index * 8 + first, length


def count_bits(bitmap: bytes) -> int:
    """How many bits are set. A piece at a time, as numbers made of large bitmaps take as much memory as these."""
    pieces = (bitmap[at : at + _COUNTED_BYTES] for at in range(0, len(bitmap), _COUNTED_BYTES))
    return sum(int.from_bytes(piece, "big").bit_count() for piece in pieces)


def with_bits_set(length_bytes: int, runs: Iterable[Run], before: bytes = b"") -> bytes:
    """A bitmap of ``length_bytes`` in which just these runs are set, and what was ``before``; bits beyond its end are left out."""
    bitmap = bytearray(before[:length_bytes])
    bitmap.extend(bytes(length_bytes - len(bitmap)))
    for first, length in runs:
        end = min(first + length, length_bytes * 8)
        if first < end:
            _set(bitmap, first, end)
    return bytes(bitmap)


def _set(bitmap: bytearray, first: int, end: int) -> None:
    first_byte, last_byte = first // 8, (end - 1) // 8
    head = 0xFF >> (first % 8)
    tail = 0xFF << (7 - (end - 1) % 8) & 0xFF
    if first_byte == last_byte:
        bitmap[first_byte] |= head & tail
        return
    bitmap[first_byte] |= head
    bitmap[first_byte + 1 : last_byte] = b"\xff" * (last_byte - first_byte - 1)
    bitmap[last_byte] |= tail
