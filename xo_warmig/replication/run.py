"""Run one pass: all disks of a VM at once, both ends opened, copied and confirmed; then judge it (R4).

A pass that fails is a value here, not an exception: its report says what came of each disk. Only a cancellation is raised. Either
way no connection of the pass is open and no disk attached when this returns (R10).
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, Protocol

from xo_warmig.disks.copy import CopyResult
from xo_warmig.disks.meter import Meter
from xo_warmig.disks.streams import ByteSink, ByteSource
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.model.passes import DiskPassPlan, DiskPassReport, PassKind, PassPlan, PassReport, Verdict
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ports import Export, Import, SourcePool, TargetPool
from xo_warmig.replication.tasks import unbroken

log = logging.getLogger("xo_warmig.replication")


class Copy(Protocol):
    """``disks.copy.copy_vhd``, or what stands in for it."""

    async def __call__(
        self,
        source: ByteSource,
        sink: ByteSink,
        *,
        virtual_size_bytes: int,
        differencing: bool,
        skip_zeros: bool,
        meter: Meter,
    ) -> CopyResult: ...


class Ways(NamedTuple):
    """What a pass runs on."""

    source: SourcePool
    target: TargetPool
    copy: Copy
    clock: Clock


class Begun(NamedTuple):
    """When a pass began, its snapshots included, and how long its delta grew (None: unknown, or no delta)."""

    epoch_seconds: float
    monotonic_seconds: float
    interval_seconds: float | None


class Moments(NamedTuple):
    """Moments of one disk's copy, monotonic seconds."""

    opened: float
    copied: float
    confirmed: float


class PassRun(NamedTuple):
    """What came of a pass. ``parts``: how long opening, transfer and confirmation took for all disks together, in seconds."""

    report: PassReport
    parts: dict[str, float]
    error: WarmigError | None


class _Pass:
    """One running pass: what its disks share."""

    def __init__(self, plan: PassPlan, ways: Ways, meters: Mapping[str, Meter], held: Mapping[str, Import]) -> None:
        self.plan = plan
        self.ways = ways
        self.meters = meters
        self.held = dict(held)
        self.reports: dict[str, DiskPassReport] = {}
        self.moments: list[Moments] = []
        self.error: WarmigError | None = None

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for disk in self.plan.disks:
                    group.create_task(self.disk(disk))
        except* WarmigError as failures:
            log.info("pass %d: %s", self.plan.number, failures.exceptions[0])

    async def disk(self, disk: DiskPassPlan) -> None:
        """Copy a disk and keep its report, whatever comes of it."""
        begin = self.ways.clock.monotonic()
        try:
            result, moments = await self.copy_again_if_held(disk)
        except asyncio.CancelledError:
            self.keep_report(disk, Verdict.PARTIAL, begin)
            raise
        except Exception as failure:
            error = failure if isinstance(failure, WarmigError) else _unexpected(disk, failure)
            self.error = self.error or error
            self.keep_report(disk, Verdict.FAILED, begin, error)
            raise error from failure
        self.moments.append(moments)
        self.keep_report(disk, Verdict.COMPLETE, begin, result=result)

    def keep_report(
        self,
        disk: DiskPassPlan,
        verdict: Verdict,
        begin: float,
        error: WarmigError | None = None,
        result: CopyResult | None = None,
    ) -> None:
        meter = self.meters[disk.disk]
        done = result or CopyResult(meter.done_bytes, meter.written_bytes, meter.transfer_seconds)
        self.reports[disk.disk] = DiskPassReport(
            disk=disk.disk,
            verdict=verdict,
            read_bytes=done.read_bytes,
            written_bytes=done.written_bytes,
            seconds=self.ways.clock.monotonic() - begin,
            transfer_seconds=done.transfer_seconds,
            error=None if error is None else error.as_dict(),
        )

    async def copy_again_if_held(self, disk: DiskPassPlan) -> tuple[CopyResult, Moments]:
        """A held import may have died unseen: that is no failure, it is opened again and the whole disk is sent."""
        held = self.held.pop(disk.disk, None)
        if held is None:
            return await self.copy(disk, None)
        try:
            return await self.copy(disk, held)
        except TransferError as death:
            if death.evidence.get("side") == "source":
                raise
            log.info("the held import of %s is opened again: %s", disk.target_vdi, death)
            _reset(self.meters[disk.disk])
            return await self.copy(disk, None)

    async def copy(self, disk: DiskPassPlan, held: Import | None) -> tuple[CopyResult, Moments]:
        """Open both ends, copy, and see both ends confirmed."""
        reader, writer = await self.open(disk, held)
        clock = self.ways.clock
        try:
            opened = clock.monotonic()
            result = await self.ways.copy(
                reader.stream,
                writer.stream,
                virtual_size_bytes=disk.virtual_size_bytes,
                differencing=disk.base is not None,
                skip_zeros=disk.skip_zeros,
                meter=self.meters[disk.disk],
            )
            copied = clock.monotonic()
            await _both(reader.finish(), writer.finish())
        except BaseException:
            await close_all(reader, writer)
            raise
        return result, Moments(opened, copied, clock.monotonic())

    async def open(self, disk: DiskPassPlan, held: Import | None) -> tuple[Export, Import]:
        """Both ends, or neither: what did open is closed when the other does not, or on cancellation."""
        ends: list[Export | Import] = [] if held is None else [held]

        async def reader() -> Export:
            export = await self.ways.source.open_export(disk.read_vdi, base=disk.base)
            ends.append(export)
            return export

        async def writer() -> Import:
            if held is not None:
                return held
            opened = await self.ways.target.open_import(disk.target_vdi)
            ends.append(opened)
            return opened

        try:
            return await unbroken(_pair(reader(), writer()))
        except BaseException:
            await close_all(*ends)
            raise


async def _pair(one: Coroutine[Any, Any, Export], other: Coroutine[Any, Any, Import]) -> tuple[Export, Import]:
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    await asyncio.wait({first, second})
    errors = [error for task in (first, second) if (error := task.exception()) is not None]
    if errors:
        raise errors[0]
    return first.result(), second.result()


async def _both(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    """Both to their end; then the first failure, if any. The outcome of one is worth waiting for when the other failed."""
    for outcome in await asyncio.gather(one, other, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def close_all(*ends: Export | Import) -> None:
    """Abort these and see their disks free, even under cancellation (R10)."""

    async def close() -> None:
        outcomes = await asyncio.gather(*(end.abort() for end in ends), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                log.warning("a transfer could not be closed: %s", outcome)

    if ends:
        await unbroken(close(), patience_seconds=None)


async def run_pass(
    plan: PassPlan, ways: Ways, *, begun: Begun, meters: Mapping[str, Meter], held: Mapping[str, Import] | None = None
) -> PassRun:
    """Carry out ``plan``.

    Args:
        meters: by source disk; counters that others may read meanwhile.
        held: imports opened beforehand, by source disk. They belong to the pass from here on.

    Raises:
        asyncio.CancelledError: all ends are closed and the disks free.
    """
    run = _Pass(plan, ways, meters, held or {})
    began_copying = ways.clock.monotonic()
    try:
        await run.run()
    finally:
        await close_all(*run.held.values())
    end = ways.clock.monotonic()
    return PassRun(_judge(run, begun, began_copying, end), _parts(run, began_copying, end), run.error)


def _judge(run: _Pass, begun: Begun, began_copying: float, end: float) -> PassReport:
    disks = [run.reports[disk.disk] for disk in run.plan.disks]
    read_bytes = sum(disk.read_bytes for disk in disks)
    seconds = end - begun.monotonic_seconds
    # The disks travel side by side, so the longest transfer is the time in which data moved.
    transfer_seconds = min(seconds, max((disk.transfer_seconds for disk in disks), default=0.0))
    growing = begun.interval_seconds if run.plan.kind is not PassKind.FULL else None
    return PassReport(
        number=run.plan.number,
        kind=run.plan.kind,
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
    )


def verdict_of(disks: list[DiskPassReport]) -> Verdict:
    """Complete when every disk is; failed when none is; partial otherwise."""
    complete = sum(disk.verdict is Verdict.COMPLETE for disk in disks)
    if complete == len(disks):
        return Verdict.COMPLETE
    return Verdict.PARTIAL if complete else Verdict.FAILED


def _parts(run: _Pass, begin: float, end: float) -> dict[str, float]:
    """The time of all disks together: until the last was open, until the last was copied, until the last was confirmed."""
    if not run.moments:
        return {"open": 0.0, "transfer": 0.0, "confirm": end - begin}
    opened = max(moment.opened for moment in run.moments)
    copied = max(opened, max(moment.copied for moment in run.moments))
    return {"open": opened - begin, "transfer": copied - opened, "confirm": end - copied}


def _reset(meter: Meter) -> None:
    meter.total_bytes = None
    meter.done_bytes = meter.written_bytes = 0
    meter.first_byte = meter.last_byte = None


def _unexpected(disk: DiskPassPlan, failure: Exception) -> WarmigError:
    log.error("copying disk %s failed unexpectedly", disk.disk, exc_info=failure)
    return WarmigError(
        f"copying disk {disk.disk} failed unexpectedly ({type(failure).__name__})", evidence={"disk": disk.disk}
    )
