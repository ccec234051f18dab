"""What a copy is to do with a disk."""

from typing import NamedTuple

from xo_warmig.disks.budget import BUFFER_BYTES


class CopyOrder(NamedTuple):
    """One copy of one disk, or what is left of it.

    ``differencing``: what the source's stream must be; a full export where a difference was asked for is refused, since blocks that it
    leaves out would have to be zeroed (R12, R20). ``skip_zeros``: leave out 64 KiB ranges of zeros, only into a disk that reads as
    zero where nothing was written; ``zero_unallocated``: send zeros for what the source does not store, into a disk that was written
    before (R20). ``start_offset``: what lies below it was copied already; a multiple of 64 KiB.

    ``piece_bytes``: the most that is read before it is sent, a whole part of a block.

    A slice ends, at a piece's boundary, when ``slice_bytes`` were sent or ``slice_seconds`` have passed (R22); None: never.
    """

    virtual_size_bytes: int
    differencing: bool
    skip_zeros: bool
    zero_unallocated: bool = False
    start_offset: int = 0
    slice_bytes: int | None = None
    slice_seconds: float | None = None
    piece_bytes: int = BUFFER_BYTES
