"""What each way of reading made so far between two pools, and which way that speaks for. Decisions only.

A way is given up for another one only where that is clearly faster: rates vary, and the newer one may be of another hour. For deltas
it has to be faster by more, as a VHD export reads whole 2 MiB blocks where changed block tracking lists 64 KiB.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from xo_warmig.model.passes import DiskPassReport, PassReport, Verdict, Way
from xo_warmig.model.units import format_bytes
from xo_warmig.replication.convergence import SIGNIFICANT_BYTES

_CLEARLY_FASTER: Final = 1.5
_CLEARLY_FASTER_DELTA: Final = 2.0


class Rate(NamedTuple):
    """Bytes of the disks per second, ``where`` that was seen. ``spread``: how many bytes whole 2 MiB blocks are for each that was read."""

    bytes_per_second: float
    where: str
    spread: float = 1.0

    def __str__(self) -> str:
        return f"{format_bytes(self.bytes_per_second)}/s {self.where}"


Rates = Mapping[Way, Rate]
NOTHING_MEASURED: Final[Rates] = {}


def rates_of(passes: Sequence[PassReport], earlier: Iterable[PassReport] = ()) -> Rates:
    """The newest of each way.

    Args:
        passes: of this migration.
        earlier: of earlier ones between the same pools, the oldest first.
    """
    found: dict[Way, Rate] = {}
    for report in earlier:
        found |= rates_in(report, "in an earlier migration")
    for report in passes:
        found |= rates_in(report, f"in pass {report.number}")
    return found


def faster_by_export(rates: Rates, *, full: bool) -> str:
    """Why a VHD export is clearly faster than reading by blocks, in words; "" where it is not, or nobody knows."""
    export = rates.get(Way.VHD)
    blocks = rates.get(Way.NBD if full else Way.CBT)
    if export is None or blocks is None:
        return ""
    wanted = _CLEARLY_FASTER if full else _CLEARLY_FASTER_DELTA * blocks.spread
    if export.bytes_per_second <= wanted * blocks.bytes_per_second:
        return ""
    whole = "" if full else f" of {blocks.spread:.1f} times as much"
    return f"{'NBD' if full else 'changed block tracking'} read {blocks}, an export{whole} {export}"


def rates_in(report: PassReport, where: str) -> dict[Way, Rate]:
    """Of one pass; those that a limit held back say nothing."""
    if report.verdict is not Verdict.COMPLETE or report.throttled:
        return {}
    by_way: dict[Way, list[DiskPassReport]] = {}
    for disk in report.disks:
        if disk.way is not None:
            by_way.setdefault(disk.way, []).append(disk)
    return {way: _rate(disks, where) for way, disks in by_way.items() if _is_significant(disks)}


def _is_significant(disks: Sequence[DiskPassReport]) -> bool:
    return sum(each.read_bytes for each in disks) >= SIGNIFICANT_BYTES and all(each.transfer_seconds for each in disks)


def _rate(disks: Sequence[DiskPassReport], where: str) -> Rate:
    read_bytes = sum(each.read_bytes for each in disks)
    listed_bytes = sum(each.listed_bytes for each in disks)
    seconds = max(each.transfer_seconds for each in disks)  # they travel side by side
    return Rate(read_bytes / seconds, where, max(1.0, listed_bytes / read_bytes))
