"""The way back of a target's disks: frozen as the last complete pass left them, so that they are still a base after a start (R17).

Taken before the shutdown, where space allows; let go of when the source is settled, or when another pass is taken. A roll-back after
the target's start goes on with clones of what was frozen, and what the target wrote goes with the disks that it wrote to.
"""

import logging

from xo_warmig.engine.leftovers import remove_own_left, remove_snapshot_of_target
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.events import DiskReverted, Effect, EffectFailed, EffectIntended, LeftBehind, TargetFrozen
from xo_warmig.model.plans import Leftover
from xo_warmig.model.vm import Disk
from xo_warmig.replication.preflight import lack_of_space, snapshot_bytes
from xo_warmig.replication.tasks import together, unbroken

log = logging.getLogger("xo_warmig.engine")


async def freeze_target(work: Work) -> None:
    """Snapshot the target's disks where there is room; without it the migration goes on, and that is told (R12)."""
    number = len(work.state.passes)
    if any(frozen.number != number for frozen in work.state.frozen.values()):
        await thaw_target(work)
    disks = [disk for disk in work.state.plan.vm.disks if disk.vdi not in work.state.frozen]
    try:
        await see_room(work, disks)
        await together(*(unbroken(freeze(work, disk, number)) for disk in disks))
    except PoolUnreachable:
        raise
    except WarmigError as against:
        await work.journal.warn(
            "NO_WAY_BACK",
            f"the target's disks are not snapshotted before the cutover: {against.message}",
            rule="R17",
            remedy="after a roll-back that discards the target's changes, the next attempt copies the disks anew",
        )


async def see_room(work: Work, disks: list[Disk]) -> None:
    """Raises NotEnoughSpace."""
    srs = work.state.plan.srs
    for uuid in sorted({srs[disk.vdi] for disk in disks}):
        sr = await work.target.read_sr(uuid)
        lack = lack_of_space(sr, snapshot_bytes(sr, [disk for disk in disks if srs[disk.vdi] == uuid]))
        if lack is not None:
            raise lack


async def freeze(work: Work, disk: Disk, number: int) -> None:
    """One disk; found again by its tag after a crash."""
    tag = f"{work.id}/way-back/{number}"
    await work.journal.record(EffectIntended(effect=Effect.TARGET_SNAPSHOT, subject=disk.vdi, tag=tag))
    try:
        await take(work, disk.vdi, tag)
    except PoolError as refusal:
        if not isinstance(refusal, PoolUnreachable):
            await work.journal.record(EffectFailed(effect=Effect.TARGET_SNAPSHOT, subject=disk.vdi))
        raise


async def take(work: Work, disk: str, tag: str) -> None:
    """The snapshot of this tag, or the one that an earlier call made."""
    vdi = work.state.target_disks[disk].vdi
    snapshot = await work.tried(lambda: work.target.snapshot_disk(vdi, tag=tag, epoch=work.state.epoch))
    await work.journal.record(TargetFrozen(disk=disk, snapshot=snapshot, number=int(tag.rpartition("/")[2])))


async def thaw_target(work: Work) -> None:
    """Let go of what was frozen, and of what a crash may have left of the freezing; what does not go is remembered."""
    for intent in work.state.unsettled:
        if intent.effect is Effect.TARGET_SNAPSHOT:
            await take(work, intent.subject, intent.tag)
    await drop_frozen(work)


async def drop_frozen(work: Work) -> None:
    """The same, of what is known to stand."""
    for frozen in list(work.state.frozen.values()):
        await remove_snapshot_of_target(work, frozen.snapshot)


async def revert_target(work: Work) -> None:
    """Clones of what was frozen take the places of the disks that the target wrote to. The target is off and blocked."""
    for disk in work.state.plan.vm.disks:
        frozen = work.state.frozen.get(disk.vdi)
        if frozen is None or disk.vdi in work.state.reverted:
            continue
        try:
            await work.once_back(lambda disk=disk, snapshot=frozen.snapshot: revert(work, disk, snapshot))  # type: ignore[misc]
        except PoolError as refusal:
            log.warning("migration %s: disk %s is not reverted: %s", work.id, disk.vdi, refusal)
    await remove_own_left(work)


async def revert(work: Work, disk: Disk, snapshot: str) -> None:
    """One disk. Every part finds what an earlier try did."""
    old = work.state.target_disks[disk.vdi].vdi
    epoch = work.state.epoch
    clone = await work.tried(lambda: work.target.clone_disk(snapshot, disk, migration=work.id, epoch=epoch))
    await work.tried(lambda: work.target.detach_disk(work.target_vm, old))
    await work.tried(lambda: work.target.attach_disk(work.target_vm, clone, disk))
    left = Leftover(pool=work.target.uuid, kind="vdi", uuid=old, why="the target wrote to it")
    await work.journal.record(DiskReverted(disk=disk.vdi, vdi=clone), LeftBehind(objects=[*work.state.left, left]))
