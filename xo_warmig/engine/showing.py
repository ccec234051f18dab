"""A running pass on show: meters of its disks, and a tick that tells the watchers a few times a second."""

import asyncio
import contextlib

from xo_warmig.engine.live import DiskLive, LivePass, guess_bytes, share_of
from xo_warmig.engine.work import Work
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan


def begin_showing(work: Work, plan: PassPlan) -> LivePass:
    """Show the pass, from its first disk on; the same for all of its disks."""
    live = work.journal.live
    if live is None or live.plan.number != plan.number:
        live = _live(work, plan)
        work.journal.live = live
        work.ticking = asyncio.create_task(_tick(work))
    return live


def end_showing(work: Work) -> None:
    """Take it away; what it reached stays in the progress."""
    if work.ticking is not None:
        work.ticking.cancel()
        work.ticking = None
    work.journal.report()
    work.journal.live = None


async def _tick(work: Work) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            work.journal.publish_progress()
            await work.clock.sleep(work.settings.progress_seconds)


def _live(work: Work, plan: PassPlan) -> LivePass:
    """The pass as it is shown while it runs."""
    records = {disk.vdi: disk for disk in work.state.plan.vm.disks}
    return LivePass(
        plan,
        work.state.pass_started,
        {
            each.disk: DiskLive(
                records[each.disk],
                each.target_vdi,
                guess_bytes(records[each.disk], base=each.base, last_bytes=_last_bytes(work, each)),
            )
            for each in plan.disks
        },
        share_of(plan.kind, first=not work.state.passes, progress=work.journal.progress),
    )


def _last_bytes(work: Work, plan: DiskPassPlan) -> int | None:
    """What the last delta read of a disk."""
    for report in reversed(work.state.passes):
        if report.kind is PassKind.DELTA:
            return next((disk.read_bytes for disk in report.disks if disk.disk == plan.disk), None)
    return None
