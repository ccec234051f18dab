"""What is known before a migration begins: what earlier ones showed, what the VM's host tells, and what is usual where nothing does."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from xo_warmig.model.estimates import Basis, Figure
from xo_warmig.model.passes import Way
from xo_warmig.model.units import MIB
from xo_warmig.replication.convergence import ASSUMED_BYTES_PER_SECOND
from xo_warmig.replication.measured import NOTHING_MEASURED, Rates
from xo_warmig.replication.trends import Trend

# Where nothing was measured and no host tells. A quiet server writes less, a database more.
ASSUMED_WRITTEN_BYTES_PER_SECOND: Final = 2 * MIB
# Seconds by number of disks, of what moves no data: calls, snapshots, attaching and detaching, as long as they take on a real xapi.
ASSUMED_FIXED: Final = {
    "prepare": Trend(0.5, 0.2),
    "copy": Trend(2.0, 1.0),
    "sync": Trend(1.5, 0.5),
    "cutover": Trend(0.5, 0.7),
    "finish": Trend(0.5, 0.8),
}
# Seconds by bytes, attaching and detaching included.
ASSUMED_READ_BACK: Final = dict.fromkeys(Way, Trend(1.5, 1 / ASSUMED_BYTES_PER_SECOND))
# Parts of a downtime besides shutdown, transfer and start.
_ASSUMED_PARTS: Final = {"check": 0.1, "open": 0.6, "confirm": 0.6, "state": 0.1, "verify": 0.1}
# Deltas over NBD are as fast as first passes over it, as long as none was seen.
_ALIKE: Final = {Way.CBT: Way.NBD}


class Known(NamedTuple):
    """What earlier migrations showed, and the VM's host.

    ``rates`` are the newest of passes between the same pools, ``speeds`` what is usual there, in bytes per second. ``fixed``: seconds
    that move no data by number of disks, by part of the duration, of ``copy`` and ``sync`` for each pass. ``read_back``: seconds of
    reading so many bytes of the target back. ``written_bytes_per_second`` of the same VM in its deltas, ``sampled_bytes_per_second`` by
    its host; None: nothing tells. ``parts``: seconds by name of a downtime's part. ``usual``: shutdown and start, where they are not
    among these.
    """

    rates: Rates = NOTHING_MEASURED
    speeds: Mapping[Way, float] = {}
    fixed: Mapping[str, Trend] = {}
    read_back: Mapping[Way, Trend] = {}
    written_bytes_per_second: float | None = None
    sampled_bytes_per_second: float | None = None
    parts: Mapping[str, float] = {}
    usual: Mapping[str, float] = {}

    def written(self) -> Figure:
        """Bytes per second."""
        if self.written_bytes_per_second is None and self.sampled_bytes_per_second is not None:
            return Figure(value=self.sampled_bytes_per_second, source=Basis.SAMPLED)
        return _figure(self.written_bytes_per_second, ASSUMED_WRITTEN_BYTES_PER_SECOND)

    def speed(self, ways: Iterable[Way]) -> Figure:
        """Bytes per second of the slowest of these ways, as far as it was measured, without limits."""
        nearest = [way if way in self.speeds else _ALIKE.get(way, way) for way in ways]
        seen = [self.speeds[way] for way in nearest if way in self.speeds]
        return _figure(min(seen, default=None), ASSUMED_BYTES_PER_SECOND)

    def fixed_seconds(self, name: str, disks: int) -> Figure:
        trend = self.fixed.get(name)
        return _figure(None if trend is None else trend.at(disks), ASSUMED_FIXED[name].at(disks))

    def read_back_seconds(self, way: Way, count_bytes: float) -> Figure:
        trend = self.read_back.get(way)
        return _figure(None if trend is None else trend.at(count_bytes), ASSUMED_READ_BACK[way].at(count_bytes))

    def downtime_part(self, name: str) -> Figure:
        """Seconds of a part that does not depend on how much is moved."""
        return _figure(self.parts.get(name), {**_ASSUMED_PARTS, **self.usual}[name])


def _figure(measured: float | None, usual: float) -> Figure:
    if measured is None:
        return Figure(value=usual, source=Basis.DEFAULT)
    return Figure(value=measured, source=Basis.MEASURED)
