"""How much of the target a pass will have read back, before it is known what it writes: see ``reading_back``. Pure."""

import math

from xo_warmig.disks.block_sample import sample_size
from xo_warmig.model.passes import HASHED_BYTES
from xo_warmig.model.requests import Verify
from xo_warmig.replication.reading_back import HEAD_BYTES


def read_back_bytes(verify: Verify, *, by_export: bool, disks: int, moved_bytes: float, stored_bytes: float) -> float:
    """Of all disks together.

    Args:
        by_export: the target's pool serves no blocks.
        moved_bytes: by the pass. ``stored_bytes``: what the disks hold.
    """
    if verify is Verify.NONE or not moved_bytes:
        return 0.0
    if verify is Verify.FULL:
        return stored_bytes if by_export else moved_bytes
    if by_export:
        return min(moved_bytes, stored_bytes, disks * HEAD_BYTES)
    blocks = math.ceil(moved_bytes / HASHED_BYTES / max(1, disks))
    return min(moved_bytes, disks * HASHED_BYTES * sample_size(blocks))
