"""Removing what is ours, one object at a time; what cannot be removed is remembered, not forgotten (R8, R11)."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from xo_warmig.engine.detaching import still_held
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.work import Work
from xo_warmig.errors import WarmigError
from xo_warmig.model.events import (
    LeftBehind,
    SnapshotDestroyed,
    TargetDiscarded,
    TargetDiskDestroyed,
    TargetThawed,
    TrackingEnded,
)
from xo_warmig.model.plans import Leftover
from xo_warmig.replication.ports import Pool, TargetPool

log = logging.getLogger("xo_warmig.engine")

TRACKING = "tracking"  # as a kind of what is left: that of the source disk with this uuid is on


async def remove_snapshot(work: Work, snapshot: str) -> bool:
    """Destroy a snapshot of ours on the source; False when it is left behind."""
    gone = await _removed(work, work.source, "snapshot", snapshot, lambda: work.source.destroy_disk(snapshot))
    if gone and snapshot in work.state.snapshots:
        await work.journal.record(SnapshotDestroyed(snapshot=snapshot))
    return gone


async def remove_snapshot_of_target(work: Work, snapshot: str) -> bool:
    """Destroy a snapshot of ours on the target; False when it is left behind."""
    gone = await _removed(work, work.target, "vdi", snapshot, lambda: work.target.destroy_disk(snapshot))
    if gone and any(frozen.snapshot == snapshot for frozen in work.state.frozen.values()):
        await work.journal.record(TargetThawed(snapshot=snapshot))
    return gone


async def remove_target_disk(work: Work, target: TargetPool, vdi: str) -> bool:
    """Destroy a disk of ours on a target; False when it is left behind."""
    gone = await _removed(work, target, "vdi", vdi, lambda: target.destroy_disk(vdi))
    if gone and any(disk.vdi == vdi for disk in work.state.target_disks.values()):
        await work.journal.record(TargetDiskDestroyed(vdi=vdi))
    return gone


async def remove_target_vm(work: Work) -> bool:
    """Discard the target VM; False when it is left behind."""
    uuid = work.state.target_vm
    if uuid is None:
        return True
    gone = await _removed(work, work.target, "vm", uuid, lambda: work.target.discard_vm(uuid))
    if gone:
        await work.journal.record(TargetDiscarded())
    return gone


async def stop_tracking(work: Work, disk: str) -> bool:
    """Turn off the changed block tracking of a source disk that we turned on; False when it stays."""
    done = await _removed(work, work.source, TRACKING, disk, lambda: work.source.untrack(disk))
    if disk in work.state.tracking:
        await work.journal.record(TrackingEnded(disk=disk))
    return done


async def _removed(
    work: Work, pool: Pool, kind: str, uuid: str, remove: Callable[[], Coroutine[Any, Any, None]]
) -> bool:
    try:
        await work.for_a_while(remove)
    except WarmigError as error:
        await leave(work, pool, kind, uuid, str(error))
        return False
    return True


async def leave(work: Work, pool: Pool, kind: str, uuid: str, why: str) -> None:
    """Remember an object that could not be removed, and say so."""
    left = Leftover(pool=pool.uuid, kind=kind, uuid=uuid, why=why)
    others = [each for each in work.state.left if each.uuid != uuid]
    await work.journal.record(LeftBehind(objects=[*others, left]))
    await work.journal.warn(
        "LEFT_BEHIND",
        f"a {kind} of ours stays on pool {pool.name} for now: {why}",
        remedy="the next migration of this VM removes it; or remove it by hand",
        kind=kind,
        uuid=uuid,
        pool=pool.uuid,
    )


async def remove_own_left(work: Work) -> None:
    """Try again what this migration could not remove on its way: an old writer lets go at last, mostly."""
    if work.state.left:
        await remove_left(work, work.journal, work.target)


async def remove_left(work: Work, journal: Journal, target: TargetPool) -> None:
    """Try again what an earlier attempt could not remove."""
    remaining = []
    for each in journal.state.left:
        try:
            done = await _remove_again(work, each, target)
        except WarmigError as error:
            each = Leftover(pool=each.pool, kind=each.kind, uuid=each.uuid, why=str(error))
            done = False
        if not done:
            remaining.append(each)
    if remaining != journal.state.left:
        await journal.record(LeftBehind(objects=remaining))


async def _remove_again(work: Work, left: Leftover, target: TargetPool) -> bool:
    """False for what is on another pool, is not known well enough to be removed by a program, or is held still (R16)."""
    if left.kind == "snapshot" and left.pool == work.source.uuid:
        await work.source.destroy_disk(left.uuid)
    elif left.kind == TRACKING and left.pool == work.source.uuid:
        await work.source.untrack(left.uuid)
    elif left.kind == "vdi" and left.pool == target.uuid:
        if await still_held(work, target, [left.uuid]):
            return False  # to have it destroyed would wait for minutes
        await target.destroy_disk(left.uuid)
    elif left.kind == "vm" and left.pool == target.uuid:
        await target.discard_vm(left.uuid)
    else:
        return False
    return True


async def tidy(work: Work) -> None:
    """Tasks that a process which had the migration before left on the pools. They harm nobody: where that fails, it is left at that."""
    if work.state.epoch < 2:
        return
    for pool in (work.source, work.target):
        try:
            await pool.tidy_tasks()
        except WarmigError as error:
            log.info("migration %s: tasks may be left on pool %s: %s", work.id, pool.name, error)
