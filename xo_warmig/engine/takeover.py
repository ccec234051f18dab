"""Taking up a migration that another process had: its sessions are out, its writers are seen gone, and the door is ours (R16)."""

import logging
from functools import partial

from xo_warmig.engine.checks import DOOR_LOST
from xo_warmig.engine.copying import judged
from xo_warmig.engine.detaching import still_held
from xo_warmig.engine.door import claim_door
from xo_warmig.engine.work import Work
from xo_warmig.errors import ForbiddenOperation, NoSuchObject, PoolUnreachable, SafetyError
from xo_warmig.model.events import DiskReplaced, LeftBehind, PassFinished
from xo_warmig.model.passes import Mark, PassKind
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.plans import Leftover
from xo_warmig.model.vm import Disk

log = logging.getLogger("xo_warmig.engine")


async def take_up(work: Work) -> None:
    """Before the first turn in a process that did not begin it. A migration that no process had yet needs nothing.

    Raises:
        WarmigError: it cannot go on; the caller takes the way back.
    """
    state = work.state
    if state.epoch == 0 or state.ended:
        return
    await take_the_door(work)
    undone = state.cancel_asked or state.phase in (Phase.CANCELLING, Phase.ROLLING_BACK)
    if not undone and not state.start_asked:
        await free_target_disks(work)
    plan = work.state.open_pass
    if plan is not None and plan.kind is PassKind.FINAL:
        # R22: never resumed. What was confirmed of it counts for nothing, and all of it is sent again.
        await work.journal.record(PassFinished(report=judged(work, plan, void=True)))


async def take_the_door(work: Work) -> None:
    """Claim it; while another server has it nothing is done, until a person has sorted that out."""
    if work.state.door_key is None:
        return
    while True:
        news = work.pools.news()
        try:
            await claim_door(work)
            break
        except ForbiddenOperation as taken:
            if work.state.waiting_for is not WaitingFor.OPERATOR:
                await work.journal.warn(taken.code, taken.message, remedy=taken.remedy, **taken.evidence)
            await work.journal.wait_for(WaitingFor.OPERATOR, taken.message)
            if work.state.cancel_asked:
                raise SafetyError(
                    taken.message, code=DOOR_LOST, evidence=taken.evidence, remedy=taken.remedy
                ) from taken
            await work.journal.changed_within(work.settings.door_poll_seconds, work.journal.count)
        except PoolUnreachable as away:
            await work.journal.wait_for(WaitingFor.POOL, str(away))
            await work.around.until_news(news)
        except NoSuchObject:
            # The source is gone: whatever comes next notices that, or had it destroyed itself.
            break
    await work.journal.wait_for(WaitingFor.NOTHING)


async def free_target_disks(work: Work) -> None:
    """An old writer may live on: neither a logout nor a cancelled task stops an import. Where one does not let go, a clone serves."""
    by_vdi = {target.vdi: disk for disk, target in work.state.target_disks.items()}
    held = await work.once_back(lambda: still_held(work, work.target, list(by_vdi)))
    for vdi in held:
        disk = next(each for each in work.state.plan.vm.disks if each.vdi == by_vdi[vdi])
        await replace_disk(work, disk, vdi)
    await settle_replacements(work)


async def replace_disk(work: Work, disk: Disk, old_vdi: str) -> None:
    """Go on with a clone: what the old writer still writes ends up in the old disk, which goes when it is free."""
    epoch = work.state.epoch
    clone = await work.once_back(
        lambda: work.tried(lambda: work.target.clone_disk(old_vdi, disk, migration=work.id, epoch=epoch))
    )
    left = Leftover(pool=work.target.uuid, kind="vdi", uuid=old_vdi, why="an old writer still holds it")
    # Only what was confirmed before is sure to be in the clone.
    plan = work.state.open_pass
    if plan is not None and (mark := work.store.mark(work.id, disk.vdi, plan.number)) is not None:
        await work.store.put_mark(work.id, disk.vdi, plan.number, Mark(confirmed=mark.confirmed, sent=mark.confirmed))
    work.tables.move(old_vdi, clone)
    await work.journal.record(
        DiskReplaced(disk=disk.vdi, vdi=clone, old_vdi=old_vdi), LeftBehind(objects=[*work.state.left, left])
    )
    await work.journal.warn(
        "DISK_REPLACED",
        f"an old writer does not let go of the target disk {old_vdi}; a clone of it serves from here on",
        rule="R16",
        disk=disk.vdi,
        vdi=clone,
    )


async def settle_replacements(work: Work) -> None:
    """The target VM has the clones, and not what they were cloned from."""
    old = [each.uuid for each in work.state.left if each.kind == "vdi" and each.pool == work.target.uuid]
    if not old or work.state.target_vm is None:
        return
    for vdi in old:
        await work.once_back(partial(work.tried, partial(work.target.detach_disk, work.target_vm, vdi)))
    for disk in work.state.plan.vm.disks:
        mine = work.state.target_disks[disk.vdi].vdi
        await work.once_back(partial(work.tried, partial(work.target.attach_disk, work.target_vm, mine, disk)))
