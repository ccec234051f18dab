"""The end of the source's part: deleted if that was asked for and is safe, else kept halted and blocked, with a note where it went."""

import contextlib
import logging

from xo_warmig.engine.adoption import release_all
from xo_warmig.engine.blocks import demand_blocks
from xo_warmig.engine.checks import halted_source
from xo_warmig.engine.detaching import see_detached
from xo_warmig.engine.door import release_door
from xo_warmig.engine.failures import as_warmig
from xo_warmig.engine.last_settings import give_last_settings
from xo_warmig.engine.leftovers import leave, remove_own_left, remove_snapshot, tidy
from xo_warmig.engine.tracking import untrack_disks
from xo_warmig.engine.way_back import thaw_target
from xo_warmig.engine.work import Work
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.model.events import (
    SourceDeleted,
    SourceDeleting,
    TargetReleased,
)
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import Vm

log = logging.getLogger("xo_warmig.engine")


async def commit(work: Work) -> None:
    """The end of the source's part: deleted if that was asked for and is safe, else kept halted and blocked."""
    await work.journal.enter(Phase.COMMITTING)
    if work.state.request.start_destination_vm:
        await give_back_ha(work)
    else:
        await release_target(work)
    await give_last_settings(work)
    await see_detached(work, work.source, [*work.state.snapshots, *(disk.vdi for disk in work.state.plan.vm.disks)])
    for uuid in sorted(work.state.snapshots):
        await remove_snapshot(work, uuid)
    await untrack_disks(work)
    await thaw_target(work)
    if work.state.request.delete_source_vm:
        await delete_source(work)
    if not work.state.source_deleted:
        await leave_note(work)
    await release_door(work)
    await remove_own_left(work)
    await tidy(work)
    await release_all(work)
    await work.journal.enter(Phase.DONE)


async def leave_note(work: Work) -> None:
    """A source that is kept says where it went, and how to take it back."""
    blocking = work.state.blocking
    if blocking is None:
        return
    try:
        await work.once_back(lambda: work.tried(lambda: work.source.note_moved(work.vm, blocking.operations["start"])))
    except (NoSuchObject, PoolError) as refusal:
        log.warning("migration %s: the source does not say where it went: %s", work.id, refusal)


async def give_back_ha(work: Work) -> None:
    """HA and auto-power-on as on the source, and the user's own blocks on what we had blocked (R13)."""
    vm = work.state.plan.vm
    own = {name: text for name, text in vm.blocked_operations.items() if name in work.state.target_blocked}
    try:
        await work.once_back(lambda: work.tried(lambda: work.target.restore_ha(work.target_vm, vm)))
        if own:
            await work.once_back(lambda: work.tried(lambda: work.target.block_operations(work.target_vm, own)))
    except PoolError as refusal:
        await work.journal.warn(
            "HA_NOT_RESTORED",
            f"HA, auto-power-on or blocked operations could not be set on the target: {refusal}",
            remedy="set them by hand",
            ha_restart_priority=vm.ha_restart_priority,
            auto_poweron=vm.auto_poweron,
            blocked_operations=own,
        )


async def release_target(work: Work) -> None:
    """Free to start, off, and not started by anything but a person."""
    vm = work.state.plan.vm
    own = {name: text for name, text in vm.blocked_operations.items() if name in work.state.target_blocked}
    try:
        await work.once_back(
            lambda: work.tried(lambda: work.target.unblock_operations(work.target_vm, work.state.target_blocked, own))
        )
    except PoolError as refusal:
        # The copy is whole and the source stays off: nothing is gained by holding the migration open.
        await work.journal.warn(
            "TARGET_STILL_BLOCKED",
            f"the target is complete, but its blocked operations could not be removed: {refusal}",
            remedy="remove those that say xo_warmig by hand before you start it",
            vm=work.target_vm,
            operations=sorted(work.state.target_blocked),
        )
    else:
        await work.journal.record(TargetReleased())
    if vm.ha_restart_priority or vm.auto_poweron:
        await work.journal.warn(
            "HA_LEFT_OFF",
            "HA and auto-power-on are off on the target, which was not to be started",
            remedy="set them when you start it",
            ha_restart_priority=vm.ha_restart_priority,
            auto_poweron=vm.auto_poweron,
        )


async def delete_source(work: Work) -> None:
    """Destroy the source and the plan's disks, if nothing forbids it (R2). A pool that is away is waited for."""
    if work.state.source_deleted:
        return
    # Once it was begun, what is missing is our own doing.
    reasons = [] if work.state.source_deleting else await work.once_back(lambda: against_deletion(work))
    if reasons:
        await work.journal.warn(
            "SOURCE_KEPT",
            "the source is kept although its deletion was asked for: " + "; ".join(reasons),
            remedy="delete it by hand when nothing on it is wanted any more",
            rule="R2",
            reasons=reasons,
        )
        return
    await work.journal.record(SourceDeleting())
    try:
        await work.once_back(lambda: work.tried(lambda: destroy_source(work)))
    except WarmigError as refusal:
        await leave(work, work.source, "source", work.vm, str(refusal))
        return
    await work.journal.record(SourceDeleted())


async def destroy_source(work: Work) -> None:
    """Everything but its destruction stays blocked to the end, and that too is blocked again when it fails."""
    blocking = work.state.blocking
    text = {} if blocking is None else {"destroy": blocking.operations["destroy"]}
    try:
        await work.source.unblock_operations(work.vm, text, {})
    except NoSuchObject:
        text = {}
    try:
        await work.source.destroy_vm(work.vm, [disk.vdi for disk in work.state.plan.vm.disks])
    except WarmigError as refusal:
        if text and not isinstance(refusal, PoolUnreachable):
            with contextlib.suppress(
                NoSuchObject
            ):  # it was a disk that stayed: that is what has to be told, and tried again
                await work.source.block_operations(work.vm, text)
        raise


async def against_deletion(work: Work) -> list[str]:
    """What forbids destroying the source (R2), in words."""
    if work.state.booted is None:
        return ["the target was not seen to boot"]
    try:
        seen = await halted_source(work)
        blocking = work.state.blocking
        demand_blocks(blocking.operations if blocking else {}, seen.blocked_operations, side="source", vm=seen.uuid)
        vm = await work.source.read_vm(work.vm)
    except NoSuchObject:
        # Asked before our own destruction begins: somebody else removed it, and meant its disks to stay or to serve elsewhere.
        return ["the VM was removed by somebody else; its disks, where they still stand, are not ours to destroy"]
    except SafetyError as change:
        return [str(as_warmig(change))]
    return [*_precious(work, vm)]


def _precious(work: Work, vm: Vm) -> list[str]:
    reasons = []
    if vm.snapshots:
        reasons.append(f"it has {len(vm.snapshots)} snapshot(s)")
    ours = set(work.state.snapshots)
    for disk in vm.disks:
        if disk.other_vms:
            reasons.append(f"disk {disk.vdi} belongs to another VM too")
        if set(disk.snapshots) - ours and not vm.snapshots:
            reasons.append(f"disk {disk.vdi} has snapshots")
    return reasons
