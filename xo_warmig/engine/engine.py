"""The engine as everything else sees it: start, look, steer, and the outcome. A driver takes each migration from turn to turn."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from xo_warmig.engine import steering
from xo_warmig.engine.driver import Driver, PlainDriver
from xo_warmig.engine.failures import from_fact
from xo_warmig.engine.feed import Feed, Notice
from xo_warmig.engine.hashes import MemoryTables, Tables
from xo_warmig.engine.joins import answers_again, demand_same
from xo_warmig.engine.journal import Guard, Journal
from xo_warmig.engine.keeping import drop_expired
from xo_warmig.engine.late_halt import watch_late_halt
from xo_warmig.engine.pacing import Limits, Pacing, Way
from xo_warmig.engine.planning import plan_report, warned_plan
from xo_warmig.engine.pool_tasks import PoolTasks
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.store import MemoryStore, Store
from xo_warmig.engine.survey import Survey, judged_again, possible_plan, survey
from xo_warmig.engine.sweeping import sweep
from xo_warmig.engine.turns import Turn, copy_disk, take_turn
from xo_warmig.engine.unmatched import find_unmatched, tell_unmatched
from xo_warmig.engine.work import Surroundings, Work
from xo_warmig.engine.works import Works
from xo_warmig.errors import IncorrectState, NoSuchObject, WarmigError
from xo_warmig.model.events import (
    CancelAsked,
    CommitAsked,
    CutoverAsked,
    Event,
    PauseAsked,
    Planned,
    RecordedEvent,
    ResumeAsked,
    RollbackAsked,
    TaskForgotten,
)
from xo_warmig.model.findings import PlanReport, SweepReport
from xo_warmig.model.phases import Phase
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.replication.clock import Clock, SystemClock
from xo_warmig.replication.known import Known
from xo_warmig.replication.ports import Pools
from xo_warmig.replication.ways import Streams

log = logging.getLogger("xo_warmig.engine")

# After closing was asked for, migrations in their downtime get this long to get out of it.
_CLOSE_SECONDS = 30.0
_DOWN = frozenset(
    {Phase.STOPPING, Phase.FINALISING, Phase.VERIFYING, Phase.STARTING, Phase.ROLLING_BACK, Phase.CANCELLING}
)


class Started(NamedTuple):
    """The migration that a call means; ``joined`` when it was there already."""

    id: str
    joined: bool


class Engine:
    """All migrations of this server. Use from one event loop; ``open`` it first."""

    def __init__(
        self,
        pools: Pools,
        *,
        store: Store | None = None,
        driver: Driver | None = None,
        clock: Clock | None = None,
        streams: Streams | None = None,
        settings: Settings | None = None,
        pacing: Pacing | None = None,
        tables: Tables | None = None,
    ) -> None:
        self._around = Surroundings(
            pools,
            store if store is not None else MemoryStore(),
            streams if streams is not None else Streams(),
            clock if clock is not None else SystemClock(),
            settings if settings is not None else Settings(),
            pacing if pacing is not None else Pacing(),
            tables if tables is not None else MemoryTables(),
        )
        self._driver: Driver = driver if driver is not None else PlainDriver()
        self._feed = Feed()
        self._journals = {id_: self._journal(id_) for id_ in self._around.store.migrations()}
        self._works = Works(self._journals, self._around)
        self._pool_tasks = PoolTasks(
            self._around,
            lambda journal: self._ask_cancel(journal, None),
            self._works.is_ours,
        )
        self._beside: set[asyncio.Task[None]] = set()
        self._gates: dict[str, asyncio.Lock] = {}
        self._promising = asyncio.Lock()  # held while room is promised, so that whoever comes next sees it
        self._closing = False

    async def open(self) -> None:
        """Take up whatever an earlier process left: migrations that are not at their end, and watches over shutdowns given up."""
        await self._driver.open(self)
        for journal in list(self._journals.values()):
            if not journal.state.ended:
                log.info("migration %s goes on in %s", journal.id, journal.state.phase)
                await self._driver.drive(journal.id)
            elif journal.state.late_halt_watched is not None:
                self._aside(self._watch(journal.id))
            if not journal.state.ended or journal.state.pool_tasks:
                self._aside(self._pool_tasks.show(journal))
        self._drop_tables()
        self._aside(self._drop_expired())
        self._aside(tell_unmatched(self._around.pools, self._around.pacing, self._around.clock))

    # What the driver calls.

    async def turn(self, migration: str) -> Turn:
        work = await self._works.of(migration)
        turn = await take_turn(work)
        if turn.ended:
            self._works.forget(migration)
            self._drop_tables()
            if work.state.late_halt_watched is not None:
                self._aside(self._watch(migration))
        return turn

    async def copy(self, migration: str, number: int, disk: str) -> None:
        if not self._known(migration).state.ended:
            await copy_disk(await self._works.of(migration), number, disk)

    # What clients call.

    async def start(self, request: WarmMigrationRequest, *, user: str) -> Started:
        """Check everything, then run the migration in the background; it does not depend on the caller's staying.

        Raises:
            InvalidRequest (and below), PoolUnreachable: nothing was touched.
        """
        async with self._gates.setdefault(request.vm, asyncio.Lock()):
            joined = await self._joined(request)
            if joined is not None:
                return Started(joined, joined=True)
            seen = await self._survey(request)
            possible_plan(seen)
            before = await self._before(request, seen)  # a host may take seconds to answer
            async with self._promising:
                plan = possible_plan(judged_again(request, seen, self._of_others(request.vm)))
                if self._closing:
                    raise IncorrectState("the server is stopping", code="SERVER_STOPPING")
                journal = self._journal(str(uuid.uuid4()))
                await journal.record(
                    Planned(request=request, user=user, plan=warned_plan(request, seen, plan, *before))
                )
                self._journals[journal.id] = journal
            await self._driver.drive(journal.id)
            self._aside(self._pool_tasks.show(journal))
            return Started(journal.id, joined=False)

    async def plan(self, request: WarmMigrationRequest) -> PlanReport:
        """Look and change nothing.

        Raises:
            NoSuchObject: the VM or the SR is not known. PoolUnreachable: a pool does not answer.
        """
        seen = await self._survey(request)
        unmatched = await find_unmatched(self._around.pools, self._around.pacing)
        strange = [each.finding(request.vm) for each in unmatched]
        return plan_report(request, seen, *await self._before(request, seen), strange)

    async def outcome(self, migration: str) -> str:
        """The target's uuid once it was seen to boot, or, when it is not to be started, once all is done.

        Raises:
            WarmigError: the migration's own error. NoSuchObject: there is no such migration.
        """
        journal = self._known(migration)
        while True:
            answer = _answer(journal.state)
            if answer is not None:
                return answer
            await journal.changed()

    def report(self, migration: str) -> MigrationReport:
        """Raises NoSuchObject."""
        return self._known(migration).report()

    def reports(self) -> list[MigrationReport]:
        """Of all migrations, the oldest first."""
        return [journal.report() for journal in self._journals.values()]

    def events(self, migration: str) -> list[RecordedEvent]:
        """All facts of a migration in order. Raises NoSuchObject."""
        self._known(migration)
        return self._around.store.events(migration)

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Notices of all migrations from here on. A slow reader gets the latest report of each, not all that led to it."""
        return self._feed.watch()

    async def cancel(self, migration: str, *, drop: bool | None = None) -> None:
        """Stop a migration; returns when its disks are free and the source is as it was found (R5, R10). Twice is once.

        Raises:
            IncorrectState: the target's start was asked for already, or the migration has ended otherwise.
            WarmigError: the source could not be given back.
        """
        journal = self._known(migration)
        await self._ask_cancel(journal, drop)
        while not journal.state.ended:
            await journal.changed()
        if journal.state.phase is Phase.FAILED and journal.state.error is not None:
            raise from_fact(journal.state.error)

    async def pause(self, migration: str) -> None:
        """Let go of all disks and wait; returns when nothing is attached. Twice is once. Raises IncorrectState."""
        journal = self._known(migration)
        await self._ask(journal, PauseAsked(), steering.demand_pausable)
        while journal.state.pause_asked and not (journal.state.paused or journal.state.ended):
            await journal.changed()

    async def resume(self, migration: str) -> None:
        """Go on after a pause; nothing when it is not paused and under way. Raises IncorrectState."""
        await self._ask(self._known(migration), ResumeAsked(), steering.demand_resumable, interrupts=False)

    async def cutover(self, migration: str) -> None:
        """Cut over as soon as it pays, without waiting for a word or a time. Twice is once. Raises IncorrectState."""
        journal = self._known(migration)
        asked = CutoverAsked(passes=len(journal.state.passes))
        await self._ask(journal, asked, steering.demand_cut_over, interrupts=False)

    async def rollback(self, migration: str, *, discard_target_changes: bool) -> None:
        """Take the source back; returns when it is as it was found. Before the target's start this is a cancel.

        Raises:
            IncorrectState: TARGET_HAS_CHANGES without ``discard_target_changes``, or the phase does not allow it.
        """
        journal = self._known(migration)
        if not journal.state.start_asked and not (journal.state.ended and not journal.state.cancel_asked):
            await self.cancel(migration)
            return
        guard = steering.rollback_guard(discard_target_changes=discard_target_changes)
        await self._ask(journal, RollbackAsked(), guard, interrupts=False)
        while not journal.state.ended:
            await journal.changed()
        error = journal.state.error
        if journal.state.phase is Phase.FAILED and error is not None and error.get("code") != "ROLLED_BACK":
            raise from_fact(error)

    async def commit(self, migration: str) -> None:
        """Settle the source of a migration that waits for that; returns when it is done. Twice is once. Raises IncorrectState."""
        journal = self._known(migration)
        await self._ask(journal, CommitAsked(), steering.demand_committable, interrupts=False)
        while journal.state.commit_asked and not journal.state.ended:
            await journal.changed()
        if not journal.state.ended:
            raise steering.not_committed(journal.state)

    async def forget_task(self, migration: str) -> None:
        """Take a migration that has ended off the list of tasks, for good; it stays among the migrations. Raises IncorrectState."""
        await self._ask(self._known(migration), TaskForgotten(), steering.demand_forgettable, interrupts=False)

    async def sweep(self, *, remove: bool) -> SweepReport:
        """Objects of ours that no live migration and no kept copy owns, on all pools that answer; ``remove`` them."""
        return await sweep(self._around.pools, [each.state for each in self._journals.values()], remove=remove)

    async def close(self) -> None:
        """Stop. Migrations go on with the next process; one that is in its downtime gets a while to get out of it."""
        self._closing = True
        await self._out_of_downtime()
        for work in self._works.all_at_hand():
            work.closing = True
            work.interrupt()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._driver.close()
        await self._works.close()
        for work in self._works.all_at_hand():
            await work.drop_held()

    # What the above is made of.

    async def _ask_cancel(self, journal: Journal, drop: bool | None) -> None:
        await self._ask(journal, CancelAsked(drop=drop), steering.demand_cancellable)

    async def _ask(self, journal: Journal, event: Event, guard: Guard, *, interrupts: bool = True) -> None:
        """Record what somebody asked for, once; where it interrupts what runs, the next turn sees why."""
        try:
            await journal.record(event, guard=guard)
        except steering.AskedAlready:
            return
        work = self._works.at_hand(journal.id)
        if work is not None and interrupts:
            work.interrupt()

    async def _survey(self, request: WarmMigrationRequest) -> Survey:
        now = self._around.clock.now()
        earlier = self._states_earlier(request.vm)
        ended = self._works.ended()
        journals = self._of_others(request.vm)
        return await survey(request, self._around.pools, earlier, ended=ended, now=now, journals=journals)

    async def _before(self, request: WarmMigrationRequest, seen: Survey) -> tuple[list[MigrationState], Limits, Known]:
        """What figures of a plan are made of: earlier attempts, limits, and what was measured, or seen by the VM's host."""
        limits = self._around.pacing.planned(Way("", request, seen.source, seen.target))
        known = self._works.known_of(request.vm, seen.source.uuid, seen.target.uuid)
        if known.written_bytes_per_second is None:
            known = known._replace(sampled_bytes_per_second=await seen.source.written_bytes_per_second(request.vm))
        return self._states_earlier(request.vm), limits, known

    def _journal(self, migration: str) -> Journal:
        return Journal(migration, self._around.store, self._feed, self._around.clock)

    def _known(self, migration: str) -> Journal:
        journal = self._journals.get(migration)
        if journal is None:
            raise NoSuchObject(f"there is no migration {migration}", evidence={"id": migration, "type": "migration"})
        return journal

    def _of_vm(self, vm: str) -> list[Journal]:
        """The migrations of a VM, the newest first."""
        return [journal for journal in reversed(self._journals.values()) if journal.state.plan.vm.uuid == vm]

    def _of_others(self, vm: str) -> list[Journal]:
        """The migrations of all other VMs."""
        return [journal for journal in self._journals.values() if journal.state.plan.vm.uuid != vm]

    def _states_earlier(self, vm: str) -> list[MigrationState]:
        return [journal.state for journal in self._works.earlier(vm)]

    async def _joined(self, request: WarmMigrationRequest) -> str | None:
        for journal in self._of_vm(request.vm):
            if not journal.state.ended:
                demand_same(request, journal.state)
                return journal.id
        done = next((each for each in self._of_vm(request.vm) if each.state.phase is Phase.DONE), None)
        if done is not None and await answers_again(request, done.state, self._around.pools):
            return done.id
        return None

    def _aside(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(body)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _watch(self, migration: str) -> None:
        work = await self._works.of(migration)
        await watch_late_halt(work, lambda: self._shutting_down(work))
        self._works.forget(migration)

    def _shutting_down(self, than: Work) -> bool:
        """Whether a later migration of the same VM asked for its shutdown, be it under way or over."""
        for journal in self._of_vm(than.vm):
            if journal.id == than.id:
                return False
            if journal.state.shutdown_asked is not None:
                return True
        return False

    def _drop_tables(self) -> None:
        """What was sent to disks that no migration writes to any more nobody will compare."""
        states = [journal.state for journal in self._journals.values() if not journal.state.ended]
        try:
            self._around.tables.keep_only([disk.vdi for state in states for disk in state.target_disks.values()])
        except WarmigError as error:
            log.warning("hashes of ended migrations stay for now: %s", error)

    async def _drop_expired(self) -> None:
        while True:
            await drop_expired(self._journals, self._works)
            await self._around.clock.sleep(self._around.settings.expiry_seconds)

    async def _out_of_downtime(self) -> None:
        async def wait() -> None:
            while any(work.state.phase in _DOWN for work in self._works.all_at_hand()):
                await asyncio.sleep(0.05)

        try:
            await asyncio.wait_for(wait(), _CLOSE_SECONDS)
        except TimeoutError:
            log.warning("the server stops although a migration is in its downtime; it goes on with the next start")


def _answer(state: MigrationState) -> str | None:
    """The outcome so far: the target's uuid, None while it is open, or the error raised."""
    if state.phase in (Phase.FAILED, Phase.CANCELLED) and state.error is not None:
        raise from_fact(state.error)
    if state.booted is not None or state.phase is Phase.DONE:
        return state.target_vm
    if state.check_failed is not None:
        if state.check_failed.running:
            return state.target_vm  # it runs; that its boot was not seen stands in the warnings
        raise from_fact(state.check_failed.error)
    return None
