"""Extents: sorted, disjoint byte ranges of a disk, and the arithmetic on them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Extent(NamedTuple):
    """``length`` bytes of a disk, from byte ``offset``."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def normalise(extents: Iterable[Extent]) -> list[Extent]:
    """Sorted, non-empty, disjoint and coalesced: ranges that touch or overlap become one."""
    merged: list[Extent] = []
    for extent in sorted(e for e in extents if e.length > 0):
        if merged and extent.offset <= merged[-1].end:
            last = merged[-1]
            merged[-1] = Extent(last.offset, max(last.end, extent.end) - last.offset)
        else:
            merged.append(extent)
    return merged


def union(one: Iterable[Extent], other: Iterable[Extent]) -> list[Extent]:
    """The bytes in either."""
    return normalise([*one, *other])


def clip(extents: Iterable[Extent], size_bytes: int) -> Iterator[Extent]:
    """The parts below ``size_bytes``."""
    for extent in extents:
        if extent.offset < size_bytes:
            yield Extent(extent.offset, min(extent.end, size_bytes) - extent.offset)


def join_near(extents: Iterable[Extent], gap_bytes: int) -> Iterator[Extent]:
    """Ascending, disjoint extents with those joined that have at most ``gap_bytes`` between them (0: those that touch)."""
    pending: Extent | None = None
    for extent in extents:
        if pending is not None and extent.offset - pending.end <= gap_bytes:
            pending = Extent(pending.offset, extent.end - pending.offset)
            continue
        if pending is not None:
            yield pending
        pending = extent
    if pending is not None:
        yield pending


def split(extents: Iterable[Extent], most_bytes: int) -> Iterator[Extent]:
    """The same bytes in pieces of at most ``most_bytes``, cut at multiples of ``most_bytes``."""
    for extent in extents:
        offset = extent.offset
        while offset < extent.end:
            piece_end = min(extent.end, (offset // most_bytes + 1) * most_bytes)
            yield Extent(offset, piece_end - offset)
            offset = piece_end


def total_bytes(extents: Iterable[Extent]) -> int:
    """The sum of the lengths."""
    return sum(extent.length for extent in extents)
