"""What came of a pass, from what came of its disks, which ``disk_copy.DiskCopy`` copied one by one (R4)."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from xo_warmig.model.passes import DiskPassReport, PassKind, PassPlan, PassReport, ReadBack, Verdict

# A disk that waited for limits for less than this part of its transfer would not have been faster without them to speak of.
_NOTICED = 0.1


class Begun(NamedTuple):
    """When a pass began, its snapshots included, and how long its delta grew (None: unknown, or no delta)."""

    epoch_seconds: float
    monotonic_seconds: float
    interval_seconds: float | None


def judge(plan: PassPlan, reports: list[DiskPassReport], begun: Begun, began_copying: float, end: float) -> PassReport:
    """What came of a pass, from what came of its disks.

    Args:
        reports: of all of its disks.
        began_copying: when its snapshots were taken; like ``end``, monotonic seconds.
    """
    by_disk = {report.disk: report for report in reports}
    disks = [by_disk[disk.disk] for disk in plan.disks]
    read_bytes = sum(disk.read_bytes for disk in disks)
    seconds = end - begun.monotonic_seconds
    # The disks travel side by side, so the longest transfer is the time in which data moved.
    transfer_seconds = min(seconds, max((disk.transfer_seconds for disk in disks), default=0.0))
    growing = begun.interval_seconds if plan.kind is not PassKind.FULL else None
    report = PassReport(
        number=plan.number,
        kind=plan.kind,
        verdict=verdict_of(disks),
        started=begun.epoch_seconds,
        seconds=seconds,
        fixed_seconds=seconds - transfer_seconds,
        snapshot_seconds=began_copying - begun.monotonic_seconds,
        bytes=read_bytes,
        written_bytes=sum(disk.written_bytes for disk in disks),
        throughput_bytes_per_second=read_bytes / transfer_seconds if transfer_seconds > 0 else 0.0,
        dirty_bytes_per_second=read_bytes / growing if growing else None,
        predicted_downtime_seconds=None,
        disks=disks,
        throttled=any(disk.held_back_seconds > _NOTICED * disk.transfer_seconds for disk in disks),
    )
    return with_read_back(report, {})


def with_read_back(report: PassReport, later: Mapping[str, ReadBack]) -> PassReport:
    """The report with what was read back ``later``, by disk, and the sums over all of its disks."""
    disks = [
        msgspec.structs.replace(each, read_back=later[each.disk]) if each.disk in later else each
        for each in report.disks
    ]
    seen = [each.read_back for each in disks if each.read_back is not None]
    # Read back as each disk comes to its end, so the pass is longer by what its last disk needs beyond the last copy.
    copied = max((each.seconds for each in disks), default=0.0)
    ended = max((each.seconds + (each.read_back.seconds if each.read_back else 0.0) for each in disks), default=0.0)
    together = max((each.seconds for each in later.values()), default=0.0)
    return msgspec.structs.replace(
        report,
        disks=disks,
        read_back_blocks=sum(each.blocks for each in seen),
        read_back_bytes=sum(each.bytes for each in seen),
        read_back_seconds=together or ended - copied,
    )


def verdict_of(disks: list[DiskPassReport]) -> Verdict:
    """Complete when every disk is; failed when none is; partial otherwise."""
    complete = sum(disk.verdict is Verdict.COMPLETE for disk in disks)
    if complete == len(disks):
        return Verdict.COMPLETE
    return Verdict.PARTIAL if complete else Verdict.FAILED


def parts_of(reports: list[DiskPassReport], seconds: float) -> dict[str, float]:
    """The ``seconds`` that all disks took, begun side by side: until the last was open, until it was copied, until it was confirmed."""
    complete = [report for report in reports if report.verdict is Verdict.COMPLETE]
    opened = max((report.open_seconds for report in complete), default=0.0)
    copied = max([opened, *(report.seconds - report.confirm_seconds for report in complete)])
    return {"open": opened, "transfer": copied - opened, "confirm": seconds - copied}
