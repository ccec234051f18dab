"""From the last look that costs no downtime to a target that may be started.

The order is the safety: imports are opened before anything stops, the source is blocked before it is asked to shut down, and its
disks are read only when it was seen halted with nobody writing to them (R1, R3).
"""

import asyncio
import logging
from collections.abc import Mapping

from xo_warmig.engine.blocks import SOURCE_OPERATIONS, source_blocks
from xo_warmig.engine.checks import (
    demand_source_blocks,
    halted_source,
    running_source,
    source_blocked,
    target_untouched,
)
from xo_warmig.engine.deciding import decide_what_follows, decision_now
from xo_warmig.engine.final_reading import read_of_final
from xo_warmig.engine.following import follow_devices
from xo_warmig.engine.offers import choose_final_ways, copied_whole, life_now, look_at_final_offers, without_delta
from xo_warmig.engine.passes import forget_pending, void_base
from xo_warmig.engine.reading_back import read_final_back
from xo_warmig.engine.restoring import final_power, unblock_source
from xo_warmig.engine.shutdown import shut_down
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.way_back import freeze_target
from xo_warmig.engine.work import Work
from xo_warmig.errors import Cancelled, ForbiddenOperation, SafetyError, WarmigError
from xo_warmig.model.events import PassStarted, ShutdownAsked, SourceBlocking, SourceHalted, SourceUnblocked
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import Vm
from xo_warmig.replication.choosing import Chosen
from xo_warmig.replication.convergence import CutOver
from xo_warmig.replication.plan import plan_pass
from xo_warmig.replication.resume import Patience
from xo_warmig.replication.retries import may_pass
from xo_warmig.replication.tasks import together, unbroken
from xo_warmig.replication.verdicts import parts_of

log = logging.getLogger("xo_warmig.engine")


async def look_ahead(work: Work) -> None:
    """The check that costs no downtime: both pools answer, and all is as planned (R14, R17), or the target follows it."""
    seen: list[Vm] = []

    async def idle() -> bool:
        seen[:] = [await running_source(work)]
        return not seen[0].current_operations

    times = work.settings
    if not await work.until(idle, seconds=times.operations_seconds, poll_seconds=times.operations_poll_seconds):
        operation = sorted(seen[0].current_operations)[0]
        raise ForbiddenOperation(
            f"the source VM has {operation} in progress, so it is not shut down now",
            code="OTHER_OPERATION_IN_PROGRESS",
            evidence={"operation": operation, "reason": f"{operation} is in progress", "objectId": work.vm},
            remedy="wait until it has ended and start the migration again",
        )
    await target_untouched(work)
    await follow_devices(work, seen[0])
    # Within one pool the source's own memory may be what the target will get, so nothing can be said before.
    if work.state.request.start_destination_vm and work.source.uuid != work.target.uuid:
        await work.target.assert_startable(work.target_vm)


async def open_ahead(work: Work) -> None:
    """Attach the target's disks before anything stops: that is most of what a transfer costs beside its bytes.

    What may pass is waited for, as in any pass: nothing is lost by it yet.
    """

    async def opened(disk: str, vdi: str) -> None:
        work.held[disk] = await work.target.open_import(vdi)

    async def hold(disk: str, vdi: str) -> None:
        patience = Patience(work.settings.copy_limits)
        while disk not in work.held:
            try:
                await unbroken(opened(disk, vdi))
            except WarmigError as error:
                if not may_pass(error):
                    raise
                log.info("migration %s: an import could not be opened ahead: %s", work.id, error)
                await work.clock.sleep(patience.wait_seconds(error, progressed=False, now=work.clock.monotonic()))

    targets = work.state.target_disks
    await together(*(hold(disk, target.vdi) for disk, target in targets.items()))


async def cut_over(work: Work) -> None:
    """All that costs no downtime; then block and stop the source. Given up for another pass where the last one has become old."""
    decision = decision_now(work)
    if not isinstance(decision, CutOver):
        await decide_what_follows(work)
        return
    await forget_pending(work)  # a crash may have come between the last pass and this
    await work.patiently(lambda: look_ahead(work))
    await work.patiently(lambda: freeze_target(work))
    await look_at_final_offers(work)
    if await lost_deltas(work):
        return
    await open_ahead(work)
    if isinstance(decision_now(work), CutOver):
        await stop_source(work)
    else:  # a pool was waited for, and the last pass has become old
        await work.drop_held()
        await decide_what_follows(work)


async def lost_deltas(work: Work) -> bool:
    """Whether a disk would be read whole in the downtime, as nothing lists its changes: it is copied anew first, while the source runs.

    Raises SafetyError when as many passes as may be were taken.
    """
    lost = await without_delta(work)
    if lost and len(work.state.passes) + 1 >= work.state.request.max_passes:
        raise no_delta(lost)
    for disk, why in lost.items():
        await void_base(work, disk, why)
    return bool(lost)


def no_delta(lost: Mapping[str, str]) -> SafetyError:
    """R12: a whole read of a disk is no downtime that anybody asked for."""
    return SafetyError(
        f"disk {next(iter(lost))} would have to be read whole while the VM is down: {next(iter(lost.values()))}",
        code="NO_DELTA",
        evidence={"rule": "R12", "disks": dict(lost)},
        remedy="see that the pool can track the disk's changes and that the VM shuts down cleanly, or migrate it halted",
    )


async def stop_source(work: Work) -> None:
    """Block the source, then have it halted; a source that was halted all along is only blocked."""
    if work.state.phase is Phase.STOPPING and await went_stale(work):
        return
    await work.journal.enter(Phase.STOPPING)
    await unbroken(block_source(work))
    await work.briefly(lambda: source_blocked(work))
    if work.state.source_was_running and not work.state.source_halted:
        await stop_running_source(work)
    await begin_final(work)


async def went_stale(work: Work) -> bool:
    """A server that was away since the source was blocked: another pass first, where the downtime would be too long without."""
    if work.state.shutdown_asked is not None or not work.state.source_was_running:
        return False
    if isinstance(decision_now(work), CutOver):
        return False
    await work.drop_held()
    await unblock_source(work)
    await work.journal.record(SourceUnblocked())
    await work.journal.enter(Phase.SYNCING)
    return True


async def stop_running_source(work: Work) -> None:
    """Ask for the shutdown once more where an earlier asking may have been lost; see it halted with nobody writing."""
    if work.state.shutdown_asked is None:
        await work.briefly(lambda: running_source(work))
        life = await life_now(work)
        await work.journal.record(ShutdownAsked())
        work.watch.start()
    else:
        life = None
        await final_power(work, seconds=work.state.request.shutdown.timeout)
    clean = await work.briefly(lambda: shut_down(work))
    work.shut_down_in = life if clean else None
    await work.briefly(lambda: halted_source(work))
    await work.journal.record(SourceHalted(clean=clean))
    work.watch.lap("shutdown")


async def block_source(work: Work) -> None:
    """Our blocks, with what stood there before written down first."""
    if work.state.blocking is None:
        ours = source_blocks(work.state)
        found = await work.briefly(lambda: work.source.blocked_operations(work.vm))
        before = {operation: found[operation] for operation in SOURCE_OPERATIONS if operation in found}
        await work.journal.record(SourceBlocking(operations=ours, before=before))
    blocking = work.state.blocking
    if blocking is not None:
        await work.briefly(lambda: work.source.block_operations(work.vm, blocking.operations))


async def begin_final(work: Work) -> None:
    """The last delta, from the halted disks or snapshots of them: never resumed, so begun anew after every break (R3, R22)."""
    await work.journal.enter(Phase.FINALISING)
    chosen: dict[str, Chosen] = {}
    number = len(work.state.passes) + 1

    async def choose() -> None:
        chosen.update(await choose_final_ways(work))

    await together(
        choose(),
        work.briefly(lambda: halted_and_blocked(work)),
        work.briefly(lambda: target_untouched(work)),
    )
    work.watch.lap("check")
    await see_deltas(work, chosen)
    plan = plan_pass(
        number=number,
        kind=PassKind.FINAL,
        disks=work.state.plan.vm.disks,
        read=await read_of_final(work, number),
        targets=work.state.target_disks,
        zeroed_srs=work.state.plan.zeroed_srs,
        chosen=chosen,
    )
    await work.journal.record(PassStarted(plan=plan))
    await work.stop_carrying()
    if work.state.source_was_running:  # else its one pass may take hours, and nobody waits for what comes after it
        work.carrying = asyncio.ensure_future(carry_state(work))


async def see_deltas(work: Work, chosen: Mapping[str, Chosen]) -> None:
    """A disk without a delta is copied whole where that costs no downtime; else the source runs again. Raises SafetyError."""
    lost = copied_whole(work, chosen)
    if lost and work.state.source_was_running:
        raise no_delta(lost)
    for disk, why in lost.items():
        await void_base(work, disk, why)


async def halted_and_blocked(work: Work) -> None:
    """R1, R3: one look at the source says both."""
    vm = await halted_source(work)
    demand_source_blocks(work, vm.blocked_operations)


async def carry_state(work: Work) -> None:
    """What the VM, or its owner, changed of itself since the target was made."""

    async def carry() -> None:
        now, changed = await work.source.read_again(work.state.plan.vm)
        if not work.state.source_was_running:
            now = await work.source.read_vm(work.vm)  # all that is known of it: so many calls cost no downtime
        await follow_devices(work, now)
        await work.target.apply_changes(work.target_vm, work.state.plan.vm, now)
        await work.target.apply_volatile_state(work.target_vm, changed)

    await work.briefly(carry)


async def verify(work: Work) -> None:
    """At the last byte all must be as at the first: the source halted and blocked (R1, R3), the target untouched (R17)."""
    work.watch.split(parts_of_final(work))
    await read_final_back(work)
    carrying, work.carrying = work.carrying, None
    await (carrying if carrying is not None else carry_state(work))
    work.watch.lap("state")
    if any(disk.vdi not in work.state.target_disks for disk in work.state.plan.vm.disks):
        raise SafetyError("a disk of the plan has no copy", code="DISK_MISSING", evidence={"rule": "R4"})
    await together(
        work.briefly(lambda: halted_and_blocked(work)),
        work.briefly(lambda: target_untouched(work)),
    )
    work.watch.lap("verify")
    await forget_pending(work)
    starts = work.state.request.start_destination_vm
    await work.journal.enter(Phase.STARTING if starts else Phase.COMMITTING, guard=demand_not_cancelled)
    work.start_asked_here = True


def demand_not_cancelled(state: MigrationState) -> None:
    """The last moment at which a cancel counts."""
    if state.cancel_asked:
        raise Cancelled("the migration was cancelled")


def parts_of_final(work: Work) -> dict[str, float]:
    """Opening, transfer and confirmation for all disks of the final pass together: they go side by side."""
    final = work.state.passes[-1]
    return parts_of(final.disks, final.seconds)
