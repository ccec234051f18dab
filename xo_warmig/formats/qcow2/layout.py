"""What the tables of a qcow2 file say of its disk."""

from collections.abc import Iterator
from typing import NamedTuple

from xo_warmig.formats.bitmaps import set_runs
from xo_warmig.model.extents import Extent, clip


class QcowLayout(NamedTuple):
    """A disk of ``size_bytes``. ``stored``: a bit for each of its clusters, the first the highest of the first byte."""

    size_bytes: int
    cluster_bytes: int
    stored: bytes

    def extents(self) -> Iterator[Extent]:
        """The parts of the disk that the file has bytes for, ascending, neighbours joined, clipped to the disk."""
        each = self.cluster_bytes
        return clip((Extent(first * each, count * each) for first, count in set_runs(self.stored)), self.size_bytes)
