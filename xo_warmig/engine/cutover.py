"""From the last look that costs no downtime to a target that may be started.

The order is the safety: imports are opened before anything stops, the source is blocked before it is asked to shut down, and its
disks are read only when it was seen halted with nobody writing to them (R1, R3).
"""

import asyncio

from xo_warmig.engine.blocks import SOURCE_OPERATIONS, source_blocks
from xo_warmig.engine.checks import halted_source, running_source, source_blocked, target_untouched
from xo_warmig.engine.passes import carry_out
from xo_warmig.engine.work import Work
from xo_warmig.errors import ForbiddenOperation, SafetyError
from xo_warmig.model.events import ShutdownAsked, SourceBlocking, SourceHalted
from xo_warmig.model.passes import PassKind
from xo_warmig.model.phases import Phase
from xo_warmig.model.reports import Downtime, DowntimePart
from xo_warmig.model.vm import Vm
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.plan import plan_pass
from xo_warmig.replication.run import Begun
from xo_warmig.replication.tasks import together, unbroken


class Stopwatch:
    """The downtime, part by part."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: float | None = None
        self.parts: list[DowntimePart] = []

    def start(self) -> None:
        self._last = self._clock.monotonic()

    def lap(self, name: str) -> None:
        """All since the last lap was ``name``. Nothing is measured before the start."""
        if self._last is not None:
            now = self._clock.monotonic()
            self.parts.append(DowntimePart(name=name, seconds=now - self._last))
            self._last = now

    def split(self, seconds: dict[str, float]) -> None:
        """Parts that somebody else measured, one after the other since the last lap."""
        if self._last is not None:
            self.parts += [DowntimePart(name=name, seconds=part) for name, part in seconds.items()]
            self._last += sum(seconds.values())

    def downtime(self) -> Downtime:
        """The sum, and each part once."""
        by_name: dict[str, float] = {}
        for part in self.parts:
            by_name[part.name] = by_name.get(part.name, 0.0) + part.seconds
        parts = [DowntimePart(name=name, seconds=seconds) for name, seconds in by_name.items()]
        return Downtime(seconds=sum(by_name.values()), parts=parts)


async def look_ahead(work: Work) -> None:
    """The check that costs no downtime: both pools answer, and all is as planned (R14, R17)."""
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
    # Within one pool the source's own memory may be what the target will get, so nothing can be said before.
    if work.state.request.start_destination_vm and work.source.uuid != work.target.uuid:
        await work.target.assert_startable(work.target_vm)


async def open_ahead(work: Work) -> None:
    """Attach the target's disks before anything stops: that is most of what a transfer costs beside its bytes."""

    async def hold(disk: str, vdi: str) -> None:
        work.held[disk] = await work.target.open_import(vdi)

    targets = work.state.target_disks
    await together(*(unbroken(hold(disk, target.vdi)) for disk, target in targets.items()))


async def stop_source(work: Work, watch: Stopwatch) -> None:
    """Block the source, then have it halted; a source that was halted all along is only blocked."""
    await work.journal.enter(Phase.STOPPING)
    await unbroken(block_source(work))
    await source_blocked(work)
    if work.state.source_was_running:
        await running_source(work)
        await work.journal.record(ShutdownAsked())
        watch.start()
        clean = await shut_down(work)
        await halted_source(work)
        await work.journal.record(SourceHalted(clean=clean))
        watch.lap("shutdown")
    else:
        await halted_source(work)


async def block_source(work: Work) -> None:
    """Our blocks, with what stood there before written down first."""
    if work.state.blocking is None:
        ours = source_blocks(work.state)
        found = await work.source.blocked_operations(work.vm)
        before = {operation: found[operation] for operation in SOURCE_OPERATIONS if operation in found}
        await work.journal.record(SourceBlocking(operations=ours, before=before))
    blocking = work.state.blocking
    if blocking is not None:
        await work.source.block_operations(work.vm, blocking.operations)


async def shut_down(work: Work) -> bool:
    """Ask for the shutdown; imports that stand open are let go of when it drags on. True when it was clean."""
    asking = asyncio.ensure_future(work.source.shut_down(work.vm, work.state.request.shutdown))
    timer = asyncio.ensure_future(work.clock.sleep(work.settings.held_import_seconds))
    try:
        await asyncio.wait({asking, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done() and work.held:
            await work.drop_held()
            await work.journal.warn(
                "HELD_IMPORTS_DROPPED",
                "the shutdown takes long; the target's disks were let go of and will be attached again, which adds to the downtime",
            )
        return await asking
    finally:
        timer.cancel()
        asking.cancel()
        await asyncio.wait({asking, timer})


async def final_pass(work: Work, watch: Stopwatch) -> None:
    """The last delta, from the halted disks themselves, while the VM's own changed state travels beside it."""
    await work.journal.enter(Phase.FINALISING)
    disks = work.state.plan.vm.disks
    plan = plan_pass(
        number=len(work.state.passes) + 1,
        kind=PassKind.FINAL,
        disks=disks,
        read={disk.vdi: disk.vdi for disk in disks},
        targets=work.state.target_disks,
        zeroed_srs=work.state.plan.zeroed_srs,
    )
    await source_blocked(work)
    await target_untouched(work)
    watch.lap("check")
    begun = Begun(work.clock.now(), work.clock.monotonic(), None)

    async def data() -> None:
        run = await carry_out(work, plan, begun)
        watch.split(run.parts)

    await together(data(), carry_state(work))
    watch.lap("state")


async def carry_state(work: Work) -> None:
    """What the VM changed of itself while it ran."""
    changed = await work.source.read_volatile_state(work.vm)
    await work.target.apply_volatile_state(work.target_vm, changed)


async def verify(work: Work, watch: Stopwatch) -> None:
    """At the last byte all must be as at the first: the source halted and blocked (R1, R3), the target untouched (R17)."""
    await work.journal.enter(Phase.VERIFYING)

    async def source_side() -> None:
        await halted_source(work)
        await source_blocked(work)

    if any(disk.vdi not in work.state.target_disks for disk in work.state.plan.vm.disks):
        raise SafetyError("a disk of the plan has no copy", code="DISK_MISSING", evidence={"rule": "R4"})
    await together(source_side(), target_untouched(work))
    watch.lap("verify")
