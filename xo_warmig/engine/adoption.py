"""What earlier attempts at the same VM left: taken over where it is still good, else removed. Nothing of ours piles up (R6).

A kept disk is good when its base still stands on the source and belongs to the same VDI of the same size (R18), and when nobody
used the target meanwhile: halted, blocked with our own texts, no foreign VBD, its start never asked for (R17). What the pass that broke
was about to write stays pending, and has to be in the next pass (R18).
"""

import logging
from enum import StrEnum

from xo_warmig.engine.blocks import target_blocks
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.leftovers import remove_left, remove_snapshot, remove_target_disk, stop_tracking
from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.events import CopyAdopted, CopyReleased, DoorReleased, TargetDiscarded
from xo_warmig.model.plans import KeptDisk
from xo_warmig.model.vm import Disk, PowerState, Vm
from xo_warmig.replication.ports import TargetPool
from xo_warmig.replication.preflight import DOOR

log = logging.getLogger("xo_warmig.engine")


class Found(StrEnum):
    """What became of a kept target."""

    UNTOUCHED = "untouched"
    IN_USE = "inUse"
    GONE = "gone"


async def settle_earlier(work: Work) -> None:
    """Take over or remove what earlier attempts left, the newest first."""
    await clear_old_door(work)
    for journal in work.earlier:
        await remove_left(work, journal, work.target)
        same_way = (
            journal.state.plan.target_pool == work.state.plan.target_pool
            and journal.state.request.sr == work.state.request.sr
        )
        if journal.state.kept and same_way:
            await take_over(work, journal)


async def clear_old_door(work: Work) -> None:
    """A key that an ended migration of this server left, or that came back with a revert of the VM, stands in nobody's way."""
    key = (await work.patiently(lambda: work.source.read_vm(work.vm))).other_config.get(DOOR, "")
    owner = key.partition("/")[0]
    if owner in work.ended():
        await work.patiently(lambda: work.source.release_door(work.vm, migration=owner))
    for journal in work.earlier:
        if journal.state.door_key is not None:
            await journal.record(DoorReleased())


async def take_over(work: Work, journal: Journal) -> None:
    """Adopt what is good of a kept copy and remove the rest."""
    kept = journal.state.kept
    found = await look_at_kept(journal, work.target)
    if found is Found.IN_USE:
        await leave_alone(work, journal)
        return
    vm = await work.source.read_vm(work.vm)
    # Of a process that was killed in the middle of this.
    mine = [each for each in kept if is_adopted(work, each)]
    good = [each for each in kept if each in mine or (found is Found.UNTOUCHED and is_good(work, vm, each))]
    adopted = [each for each in good if each not in mine]
    # The old shell goes first: the new one gets today's metadata, and a disk belongs to one of them only.
    await discard_shell(work, journal, work.target)
    for each in adopted:
        await work.store.put_pending(work.id, each.disk, work.store.pending(journal.id, each.disk))
    if adopted:
        await work.journal.record(CopyAdopted(earlier=journal.id, disks=adopted))
    await untrack_kept(work, [each for each in kept if each not in good])
    await journal.record(CopyReleased(to=work.id))
    for each in kept:
        if each not in good:
            await remove_kept(work, each)
    if len(good) < len(kept):
        await work.journal.warn(
            "COPY_NOT_REUSED",
            "disks of an earlier attempt cannot be gone on with and are copied anew",
            disks=[each.disk for each in kept if each not in good],
            earlier=journal.id,
        )


def why_not_reusable(kept: KeptDisk, disk: Disk | None, sr: str | None) -> str | None:
    """What speaks against the next pass of this disk being a delta from the kept base (R18); None when nothing does.

    Args:
        disk: the source's disk as it is now, None when the VM has it no more.
        sr: where it is to go.
    """
    if disk is None:
        return "the VM does not have this disk any more"
    if kept.target.base is None:
        return "no pass of it was complete, or its copy was started since"
    if kept.target.base not in disk.snapshots:
        return "the snapshot that it is the copy of is gone, or the disk was reverted"
    if kept.virtual_size_bytes != disk.virtual_size_bytes:
        return "the disk was resized"
    if kept.target.sr != sr:
        return "the copy is on another storage repository"
    return None


def is_adopted(work: Work, kept: KeptDisk) -> bool:
    """Whether this migration has taken the kept disk over already."""
    there = work.state.target_disks.get(kept.disk)
    return there is not None and there.vdi == kept.target.vdi


def is_good(work: Work, vm: Vm, kept: KeptDisk) -> bool:
    """Whether the kept copy serves this migration."""
    disk = next((disk for disk in vm.disks if disk.vdi == kept.disk), None)
    free = kept.disk not in work.state.target_disks
    return free and why_not_reusable(kept, disk, work.state.plan.srs.get(kept.disk)) is None


async def look_at_kept(journal: Journal, target: TargetPool) -> Found:
    """Whether the kept target is as we left it (R17)."""
    state = journal.state
    try:
        if not await only_ours(journal, target):
            return Found.IN_USE
        if state.target_vm is None:
            return Found.UNTOUCHED
        power = await target.power_state(state.target_vm)
        blocked = await target.blocked_operations(state.target_vm)
        ran = not state.start_asked and await target.was_started(state.target_vm)
    except NoSuchObject:
        # Somebody removed it; whether it ran before that nobody can say.
        return Found.GONE
    ours = target_blocks(state.id)
    still_ours = all(blocked.get(operation) == text for operation, text in ours.items())
    return Found.UNTOUCHED if power is PowerState.HALTED and still_ours and not ran else Found.IN_USE


async def only_ours(journal: Journal, target: TargetPool) -> bool:
    """Whether nothing but the kept target has a VBD on its disks, nor anything plugged.

    A toolstack that was restarted in the middle of our import leaves the control domain's VBD behind. It is released: writing is
    what only we do to these disks, and if our old import does live on, the pool refuses (R16). One for reading is somebody else's.
    """
    state = journal.state
    used = await target.attachments([each.target.vdi for each in state.kept])
    foreign = [each for each in used if each.plugged or not (each.is_control_domain or each.vm == state.target_vm)]
    if not all(each.is_control_domain and each.mode == "RW" for each in foreign):
        return False
    try:
        for vdi in sorted({each.vdi for each in foreign}):
            await target.release_disk(vdi)
    except PoolUnreachable:
        raise
    except PoolError as refusal:
        log.warning("a disk of migration %s is still held: %s", journal.id, refusal)
        return False
    return True


async def leave_alone(work: Work, journal: Journal) -> None:
    """Somebody took the kept target into use: it is theirs now. Only our snapshots on the source go."""
    state = journal.state
    bases = [each.target.base for each in state.kept if each.target.base is not None]
    await untrack_kept(work, state.kept)
    await journal.record(CopyReleased(to=None, in_use=True))
    for base in bases:
        await remove_snapshot(work, base)
    await work.journal.warn(
        "KEPT_COPY_IN_USE",
        "the copy of an earlier attempt was taken into use by somebody; it is left alone and the disks are copied anew",
        vm=state.target_vm,
        disks=[each.target.vdi for each in state.kept],
        earlier=state.id,
    )


async def discard_shell(work: Work, journal: Journal, target: TargetPool) -> None:
    """Remove the earlier attempt's VM, not its disks."""
    uuid = journal.state.target_vm
    if uuid is not None:
        await work.tried(lambda: target.discard_vm(uuid))
        await journal.record(TargetDiscarded())


async def remove_kept(work: Work, kept: KeptDisk) -> None:
    """Remove one disk of an earlier attempt and its base."""
    await remove_target_disk(work, work.target, kept.target.vdi)
    if kept.target.base is not None:
        await remove_snapshot(work, kept.target.base)


async def untrack_kept(work: Work, kept: list[KeptDisk]) -> None:
    """Put back the tracking of source disks that an earlier attempt turned on. Before its record goes: nothing else tells of it."""
    for each in kept:
        if each.tracked:
            await stop_tracking(work, each.disk)


async def release_all(work: Work) -> None:
    """After success no kept copy is of use any more: those of other targets go too, as far as their pools answer."""
    for journal in work.earlier:
        if journal.state.kept:
            try:
                await release(work, journal)
            except WarmigError as error:
                log.warning("migration %s: the copy kept by %s stays for now: %s", work.id, journal.id, error)


async def release(work: Work, journal: Journal) -> None:
    """Remove a kept copy whole, unless somebody uses it."""
    target = await work.pools.pool_of_sr(journal.state.request.sr)
    if await look_at_kept(journal, target) is Found.IN_USE:
        await leave_alone(work, journal)
        return
    await discard_shell(work, journal, target)
    kept = journal.state.kept
    await untrack_kept(work, kept)
    await journal.record(CopyReleased(to=None))
    for each in kept:
        await remove_target_disk(work, target, each.target.vdi)
        if each.target.base is not None:
            await remove_snapshot(work, each.target.base)
