"""A piece of a disk as a VHD brought it."""

from typing import NamedTuple

from xo_warmig.model.extents import Extent


class VhdPiece(NamedTuple):
    """``extent`` of the disk, and its bytes."""

    extent: Extent
    data: bytes
