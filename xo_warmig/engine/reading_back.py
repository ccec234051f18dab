"""Reading back what a pass has written: each disk before its part of the pass counts as complete; of the final pass all together."""

import contextlib
from collections.abc import Iterator

import msgspec

from xo_warmig.disks.block_table import BlockTable
from xo_warmig.engine.failures import to_fact
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import FinalReadBack
from xo_warmig.model.passes import CopyNote, DiskPassPlan, DiskPassReport, PassKind, PassPlan, ReadBack, Verdict, Way
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.requests import Verify
from xo_warmig.replication.reading_back import Found, ReadingBack
from xo_warmig.replication.tasks import together


@contextlib.contextmanager
def table_of(work: Work, plan: PassPlan, disk: DiskPassPlan, *, copied: bool = False) -> Iterator[BlockTable | None]:
    """Where the hashes of what this pass sends to a disk are kept; None where nobody will ask for them.

    Args:
        copied: the pass has sent all of it, so a table that is not there is lost.
    """
    if not is_read_back(work, plan):
        yield None
        return
    mark = work.store.mark(work.id, disk.disk, plan.number)
    begun_at = disk.virtual_size_bytes if copied else 0 if mark is None else mark.confirmed
    run = f"{work.id}/{plan.number}/{disk.disk}"
    table = work.tables.open(disk.target_vdi, run, size_bytes=disk.virtual_size_bytes, begun_at=begun_at)
    with contextlib.closing(table):
        yield table


async def read_back_copied(
    work: Work, plan: PassPlan, disk: DiskPassPlan, table: BlockTable, report: DiskPassReport
) -> DiskPassReport:
    """Compare a disk that was copied whole; what does not hold what was sent is not complete (R4)."""
    try:
        found = await reading_back(work, plan, disk, table).run()
    except WarmigError as error:
        return msgspec.structs.replace(report, verdict=Verdict.FAILED, error=to_fact(error))
    return msgspec.structs.replace(report, read_back=found.read_back, notes=[*report.notes, *found.notes])


async def read_final_back(work: Work) -> None:
    """Compare what the final pass wrote, where that is to be. Raises SafetyError with code READ_BACK_MISMATCH, or why it cannot be."""
    plan = work.state.pass_plan
    if plan is None or not is_read_back(work, plan):
        return

    async def one(disk: DiskPassPlan) -> Found:
        with table_of(work, plan, disk, copied=True) as table:
            return Found(None, []) if table is None else await reading_back(work, plan, disk, table).run()

    found = await together(*(one(disk) for disk in plan.disks))
    by_disk: dict[str, ReadBack] = {}
    for disk, each in zip(plan.disks, found, strict=True):
        await _tell(work, disk.disk, each.notes)
        if each.read_back is not None:
            by_disk[disk.disk] = each.read_back
    await work.journal.record(FinalReadBack(disks=by_disk))
    work.watch.lap("readBack")


def reading_back(work: Work, plan: PassPlan, disk: DiskPassPlan, table: BlockTable) -> ReadingBack:
    """Of a disk. In the downtime a pool that is away is not waited for as it is before."""
    limits, in_downtime = work.settings.copy_limits, is_in_downtime(work, plan)
    if in_downtime:
        limits = msgspec.structs.replace(limits, pool_patience_seconds=work.settings.downtime_patience_seconds)
    return ReadingBack(
        disk,
        work.ways,
        table,
        verify=work.state.request.verify,
        seed=f"{work.id}/{plan.number}/{disk.disk}",
        by_export=was_by_export(work, disk.disk),
        in_downtime=in_downtime,
        limits=limits,
        throttle=work.pacing.throttle(work.way, in_downtime=in_downtime),
        tell=work.teller_of(disk.disk, WaitingFor.SLOT),
    )


def was_by_export(work: Work, disk: str) -> bool:
    """Whether the disk was read back from an export the last time, so that its time is known and NBD is not tried in vain again."""
    for report in reversed(work.state.passes):
        for each in report.disks:
            if each.disk == disk and each.read_back is not None:
                return each.read_back.way is Way.VHD
    return False


def is_read_back(work: Work, plan: PassPlan) -> bool:
    """Whether anything of this pass is to be compared: no sample is worth a downtime."""
    match work.state.request.verify:
        case Verify.NONE:
            return False
        case Verify.SAMPLE:
            return not is_in_downtime(work, plan)
        case Verify.FULL:
            return True


def is_in_downtime(work: Work, plan: PassPlan) -> bool:
    """Whether a VM is down for as long as this pass takes."""
    return plan.kind is PassKind.FINAL and work.state.source_was_running


async def _tell(work: Work, disk: str, notes: list[CopyNote]) -> None:
    for note in notes:
        await work.journal.warn(note.code, f"the final pass, disk {disk}: {note.message}", disk=disk)
