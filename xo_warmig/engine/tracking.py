"""Changed block tracking (CBT) of the source's disks: turned on where it helps, and put back as it was found (R5)."""

import logging

from xo_warmig.engine.leftovers import TRACKING, leave, stop_tracking
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.events import TrackingBegun, TrackingEnded
from xo_warmig.model.requests import Transport
from xo_warmig.model.vm import Disk
from xo_warmig.replication.choosing import by_blocks_only
from xo_warmig.replication.exports import exports_of_disk
from xo_warmig.replication.retries import is_outcome_lost, is_temporary
from xo_warmig.replication.tasks import together, unbroken

log = logging.getLogger("xo_warmig.engine")


async def track_disks(work: Work) -> None:
    """Before a snapshot that is to be a base: have the pool keep track of what is written after it, where it serves blocks."""
    if work.state.request.transport is not Transport.VHD:
        await together(*(unbroken(track(work, disk)) for disk in work.state.plan.vm.disks))


async def track(work: Work, disk: Disk) -> None:
    """One disk; written down before, as only what was off is turned off in the end. A refusal leaves the ways without tracking."""
    if await work.patiently(lambda: work.source.against_blocks(disk.vdi)):
        return
    if await work.patiently(lambda: work.source.is_tracked(disk.vdi)) and disk.vdi not in _left_on(work):
        return
    if disk.vdi not in work.state.tracking:
        await work.journal.record(TrackingBegun(disk=disk.vdi))
    try:
        await work.patiently(lambda: work.source.track(disk.vdi))
    except PoolUnreachable:
        raise
    except PoolError as refusal:
        log.info("migration %s: disk %s is not tracked: %s", work.id, disk.vdi, refusal)
        if is_temporary(refusal) or is_outcome_lost(refusal):  # it may come true yet
            return
        await work.journal.record(TrackingEnded(disk=disk.vdi))
        if by_blocks_only(work.state.request.transport, exports_of_disk(disk)):
            raise _cannot_go(disk, refusal) from refusal


def _cannot_go(disk: Disk, refusal: PoolError) -> PoolError:
    """Said before anything is copied: without a list of changes the disk would be read whole while the VM is down.

    Its changes cannot be exported, or NBD alone was asked for.
    """
    return PoolError(
        f"only changed block tracking can tell the changes of disk {disk.name_label!r}, and the pool refuses that: {refusal.message}",
        code="TRACKING_NEEDED",
        evidence={**refusal.evidence, "disk": disk.vdi},
        remedy="have the pool allow changed block tracking (licence, kind of storage), or shut the VM down and migrate it halted",
    )


def _left_on(work: Work) -> set[str]:
    """Disks whose tracking an earlier migration turned on and could not turn off."""
    return {each.uuid for journal in work.earlier for each in journal.state.left if each.kind == TRACKING}


async def untrack_disks(work: Work) -> None:
    """What this migration turned on goes off."""
    for disk in list(work.state.tracking):
        await stop_tracking(work, disk)


async def leave_tracking(work: Work) -> None:
    """A migration ends that could not put it back: it is remembered as left behind."""
    for disk in list(work.state.tracking):
        await leave(work, work.source, TRACKING, disk, "the source could not be given back")
        await work.journal.record(TrackingEnded(disk=disk))
