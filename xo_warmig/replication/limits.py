"""The settings of a disk's copy."""

import msgspec

from xo_warmig.model.units import GIB, MIB


class CopyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How a copy is cut into slices, and how it goes on after breaks.

    After ``tries`` failures in a row without progress it gives up. A pool that is away is waited for, ``pool_patience_seconds`` in all.
    """

    slice_bytes: int = 8 * GIB  # R22
    slice_seconds: float = 600.0
    mark_seconds: float = 5.0  # how often a mark is stored; what was sent since is sent again after a crash
    tries: int = 6
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    pool_patience_seconds: float = 3600.0
    resend_bytes: int = 64 * MIB  # R22: of what was sent last before a break, so much is sent again in any case
    tail_bytes: int = (
        160 * MIB
    )  # hashes of so much are kept: of the bytes sent again, and of those to compare before them
    most_read_back: float = 4.0  # reading the target back may cost so many bytes for each byte that it saves
