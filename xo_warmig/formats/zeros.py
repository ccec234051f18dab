"""Which parts of a buffer hold something else than zeros, found at the speed of memcmp."""

from xo_warmig.model.extents import Extent
from xo_warmig.model.units import KIB

GRANULARITY_BYTES = 64 * KIB
_ZEROS = memoryview(bytes(1024 * KIB))


def nonzero_extents(
    buffer: bytearray | bytes, start: int, length: int, granularity_bytes: int = GRANULARITY_BYTES
) -> list[Extent]:
    """The parts of ``buffer[start : start + length]`` to send when zeros may be left out.

    Granules are counted from ``start``, the last may be shorter; those with a byte other than zero are given, neighbours joined.
    Offsets are those of the buffer. ``startswith`` compares in place with one memcmp, where slices of a memoryview would be compared
    value by value, a hundred times slower.
    """
    end = start + length
    zeros = _zeros(granularity_bytes)
    found: list[Extent] = []
    run_start: int | None = None
    for offset in range(start, end, granularity_bytes):
        if end - offset < granularity_bytes:
            zeros = zeros[: end - offset]
        if not buffer.startswith(zeros, offset):
            if run_start is None:
                run_start = offset
        elif run_start is not None:
            found.append(Extent(run_start, offset - run_start))
            run_start = None
    if run_start is not None:
        found.append(Extent(run_start, end - run_start))
    return found


def _zeros(count_bytes: int) -> memoryview:
    return _ZEROS[:count_bytes] if count_bytes <= len(_ZEROS) else memoryview(bytes(count_bytes))
