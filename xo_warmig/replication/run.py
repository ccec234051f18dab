"""Run one pass: all disks of a VM at once, the first that fails for good stops the others; then judge it (R4).

A pass that fails is a value here, not an exception: its report says what came of each disk. Only a cancellation is raised. Either
way no connection of the pass is open and no disk attached when this returns (R10). Who runs the disks of a pass one by one
(``disk_copy.copy_disk``) judges them with ``judge`` and ``parts_of``.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from xo_warmig.disks.meter import Meter
from xo_warmig.errors import WarmigError
from xo_warmig.model.passes import DiskPassReport, Mark, PassKind, PassPlan, PassReport, ReadBack, Verdict
from xo_warmig.replication.disk_copy import DiskCopy
from xo_warmig.replication.ends import close_all
from xo_warmig.replication.limits import CopyLimits
from xo_warmig.replication.ports import Import, PassBook
from xo_warmig.replication.ways import Streams, Ways

__all__ = ["Begun", "PassRun", "Streams", "Ways", "close_all", "judge", "parts_of", "run_pass", "verdict_of"]

log = logging.getLogger("xo_warmig.replication")

# A disk that waited for limits for less than this part of its transfer would not have been faster without them to speak of.
_NOTICED = 0.1


class Begun(NamedTuple):
    """When a pass began, its snapshots included, and how long its delta grew (None: unknown, or no delta)."""

    epoch_seconds: float
    monotonic_seconds: float
    interval_seconds: float | None


class PassRun(NamedTuple):
    """What came of a pass. ``parts``: how long opening, transfer and confirmation took for all disks together, in seconds."""

    report: PassReport
    parts: dict[str, float]
    error: WarmigError | None


async def run_pass(
    plan: PassPlan,
    ways: Ways,
    *,
    begun: Begun,
    meters: Mapping[str, Meter],
    held: Mapping[str, Import] | None = None,
    book: PassBook | None = None,
    marks: Mapping[str, Mark] | None = None,
    pending: Mapping[str, bytes] | None = None,
    limits: CopyLimits | None = None,
) -> PassRun:
    """Carry out ``plan``.

    Args:
        meters: by source disk; counters that others may read meanwhile.
        held: imports opened beforehand, by source disk. They belong to the pass from here on.
        book: where lists and marks are stored; without one, no disk goes on after a break.
        marks: how far disks came earlier in this very pass, by source disk.
        pending: lists of passes that never completed, by source disk.

    Raises:
        asyncio.CancelledError: all ends are closed and the disks free.
    """
    held, marks, pending = dict(held or {}), marks or {}, pending or {}
    copies = [
        DiskCopy(
            disk,
            ways,
            number=plan.number,
            meter=meters[disk.disk],
            held=held.pop(disk.disk, None),
            book=book,
            mark=marks.get(disk.disk),
            pending=pending.get(disk.disk),
            final=plan.kind is PassKind.FINAL,
            limits=limits,
        )
        for disk in plan.disks
    ]
    began_copying = ways.clock.monotonic()
    try:
        errors = await _run_all(plan, copies)
    finally:
        await close_all(*held.values())
    end = ways.clock.monotonic()
    reports = [copy.report for copy in copies if copy.report is not None]
    report = judge(plan, reports, begun, began_copying, end)
    return PassRun(report, parts_of(reports, end - began_copying), errors[0] if errors else None)


async def _run_all(plan: PassPlan, copies: list[DiskCopy]) -> list[WarmigError]:
    """Run all until they end, or until the first fails; what they failed of, that one first."""
    errors: list[WarmigError] = []

    async def run(copy: DiskCopy) -> None:
        await copy.run()
        if copy.error is not None:
            errors.append(copy.error)
            raise copy.error

    try:
        async with asyncio.TaskGroup() as group:
            for copy in copies:
                group.create_task(run(copy))
    except* WarmigError:
        log.info("pass %d: %s", plan.number, errors[0])
    return errors


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
