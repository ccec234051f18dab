"""The engine as everything else sees it: start, watch, cancel, and the outcome. One task per migration drives it (``runner``)."""

import asyncio
import itertools
import logging
import statistics
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from xo_warmig.disks.copy import copy_vhd
from xo_warmig.engine.failures import from_fact
from xo_warmig.engine.feed import Feed, Notice
from xo_warmig.engine.joins import answers_again, demand_same
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.runner import drive, watch_late_halt
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.store import MemoryStore, Store
from xo_warmig.engine.survey import Survey, survey
from xo_warmig.engine.work import Work
from xo_warmig.errors import IncorrectState, NoSuchObject
from xo_warmig.model.events import Planned, RecordedEvent
from xo_warmig.model.phases import TRANSITIONS, Phase, can_cancel
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.replication.clock import Clock, SystemClock
from xo_warmig.replication.ports import Pools
from xo_warmig.replication.run import Copy

log = logging.getLogger("xo_warmig.engine")

# After closing was asked for, migrations beyond the point of no return get this long to reach their end.
_CLOSE_SECONDS = 30.0


class Started(NamedTuple):
    """The migration that a call means; ``joined`` when it was there already."""

    id: str
    joined: bool


class Engine:
    """All migrations of this server. Use from one event loop."""

    def __init__(
        self,
        pools: Pools,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        copy: Copy = copy_vhd,
        settings: Settings | None = None,
    ) -> None:
        self._pools = pools
        self._store: Store = store if store is not None else MemoryStore()
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._copy = copy
        self._settings = settings if settings is not None else Settings()
        self._feed = Feed()
        self._journals = {id_: self._journal(id_) for id_ in self._store.migrations()}
        self._works: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gates: dict[str, asyncio.Lock] = {}
        self._closing = False

    async def start(self, request: WarmMigrationRequest, *, user: str) -> Started:
        """Check everything, then run the migration in the background; it does not depend on the caller's staying.

        Raises:
            InvalidRequest (and below), PoolUnreachable: nothing was touched.
        """
        async with self._gates.setdefault(request.vm, asyncio.Lock()):
            joined = await self._joined(request)
            if joined is not None:
                return Started(joined, joined=True)
            earlier = self._earlier(request.vm)
            seen = await survey(request, self._pools, [journal.state for journal in earlier])
            if seen.preflight.plan is None:
                raise seen.preflight.errors[0]
            if self._closing:
                raise IncorrectState("the server is stopping", code="SERVER_STOPPING")
            journal = self._journal(str(uuid.uuid4()))
            await journal.record(Planned(request=request, user=user, plan=seen.preflight.plan))
            self._journals[journal.id] = journal
            self._run(journal, seen, earlier)
            return Started(journal.id, joined=False)

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
        return self._store.events(migration)

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Notice]]:
        """Notices of all migrations from here on. A slow reader gets the latest report of each, not all that led to it."""
        return self._feed.watch()

    async def cancel(self, migration: str) -> None:
        """Stop a migration; returns when its disks are free and the source is as it was found (R5, R10). Twice is once.

        Raises:
            IncorrectState: the target's start was asked for already, or the migration has ended otherwise.
            WarmigError: the source could not be given back.
        """
        journal = self._known(migration)
        if journal.state.phase not in (Phase.CANCELLING, Phase.CANCELLED):
            work = self._works.get(migration)
            if work is None or not (work.cancellable or work.cancel_wanted):
                raise _too_late(journal.state)
            if not work.cancel_wanted:
                work.cancel_wanted = True
                if work.forward is not None:
                    work.forward.cancel()
        while not journal.state.ended:
            await journal.changed()
        if journal.state.phase is Phase.FAILED and journal.state.error is not None:
            raise from_fact(journal.state.error)

    async def close(self) -> None:
        """Stop: what can be undone is cancelled, what is beyond that gets a while to end, and all connections are closed."""
        self._closing = True
        cancellable = [id_ for id_, work in self._works.items() if work.cancellable]
        await asyncio.gather(*(self.cancel(id_) for id_ in cancellable), return_exceptions=True)
        driving = {task for id_, task in self._tasks.items() if id_ in self._works}
        if driving:
            await asyncio.wait(driving, timeout=_CLOSE_SECONDS)
        left = [task for task in self._tasks.values() if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for journal in self._journals.values():
            if journal.state.kept:
                log.warning("migration %s leaves a kept copy in VM %s", journal.id, journal.state.target_vm)

    # What the above is made of.

    def _journal(self, migration: str) -> Journal:
        return Journal(migration, self._store, self._feed, self._clock)

    def _known(self, migration: str) -> Journal:
        journal = self._journals.get(migration)
        if journal is None:
            raise NoSuchObject(f"there is no migration {migration}", evidence={"id": migration, "type": "migration"})
        return journal

    def _of_vm(self, vm: str) -> list[Journal]:
        """The migrations of a VM, the newest first."""
        return [journal for journal in reversed(self._journals.values()) if journal.state.plan.vm.uuid == vm]

    async def _joined(self, request: WarmMigrationRequest) -> str | None:
        for journal in self._of_vm(request.vm):
            if not journal.state.ended:
                demand_same(request, journal.state)
                return journal.id
        done = next((each for each in self._of_vm(request.vm) if each.state.phase is Phase.DONE), None)
        if done is not None and await answers_again(request, done.state, self._pools):
            return done.id
        return None

    def _earlier(self, vm: str) -> list[Journal]:
        """Ended migrations of the VM that left something."""
        return [each for each in self._of_vm(vm) if each.state.kept or each.state.left]

    def _run(self, journal: Journal, seen: Survey, earlier: list[Journal]) -> None:
        shutdown, start = self._learned()
        work = Work(
            journal,
            seen.source,
            seen.target,
            copy=self._copy,
            clock=self._clock,
            settings=self._settings,
            pools=self._pools,
            earlier=earlier,
            shutdown_seconds=shutdown,
            start_seconds=start,
        )
        self._works[journal.id] = work
        self._spawn(journal.id, self._drive(work))

    def _spawn(self, name: str, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(body)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the task of migration %s failed", name, exc_info=error)

    async def _drive(self, work: Work) -> None:
        try:
            await drive(work)
        finally:
            self._works.pop(work.id, None)
        if work.state.late_halt_watched:
            self._spawn(f"{work.id} watch", watch_late_halt(work, lambda: self._shutting_down(work)))

    def _shutting_down(self, than: Work) -> bool:
        """Whether a later migration of the same VM asked for its shutdown, be it under way or over."""
        later = itertools.takewhile(lambda journal: journal is not than.journal, self._of_vm(than.vm))
        return any(journal.state.shutdown_asked for journal in later)

    def _learned(self) -> tuple[float, float]:
        """How long shutdown and start took in migrations so far, or what the settings guess."""
        downtimes = [each.state.downtime for each in self._journals.values() if each.state.downtime is not None]
        parts = [(part.name, part.seconds) for downtime in downtimes for part in downtime.parts]
        return (
            _median((seconds for name, seconds in parts if name == "shutdown"), self._settings.shutdown_seconds),
            _median((seconds for name, seconds in parts if name == "start"), self._settings.start_seconds),
        )


def _median(values: Iterable[float], otherwise: float) -> float:
    known = list(values)
    return statistics.median(known) if known else otherwise


def _answer(state: MigrationState) -> str | None:
    """The outcome so far: the target's uuid, None while it is open, or the error raised."""
    if state.booted or state.phase is Phase.DONE:
        return state.target_vm
    if state.check_failed is not None:
        if state.check_failed.running:
            return state.target_vm  # it runs; that its boot was not seen stands in the warnings
        raise from_fact(state.check_failed.error)
    if state.phase in (Phase.FAILED, Phase.CANCELLED) and state.error is not None:
        raise from_fact(state.error)
    return None


def _too_late(state: MigrationState) -> IncorrectState:
    return IncorrectState(
        f"the migration is {state.phase} and cannot be cancelled any more",
        code="TOO_LATE_TO_CANCEL",
        evidence={
            "object": state.id,
            "property": "phase",
            "actual": str(state.phase),
            "expected": sorted(str(phase) for phase in TRANSITIONS if can_cancel(phase)),
        },
    )
