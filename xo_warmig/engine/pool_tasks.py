"""A migration on show as a task on both of its pools, beside everything else: nothing waits for it, and nothing fails of it.

Any client of a pool sees there how far the migration is, and may cancel it. XAPI keeps tasks in memory: one that a toolstack lost is
made again. Nothing is asked for as long as it would add to a short downtime.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from xo_warmig.engine.journal import Journal
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.work import Surroundings
from xo_warmig.errors import IncorrectState, PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.events import PoolTaskDropped, PoolTaskShown
from xo_warmig.model.phases import Phase
from xo_warmig.model.pool_tasks import REFUSED_FOR_GOOD, PoolTask, TaskEnd, TaskSeen, description_of, label_of
from xo_warmig.replication.ports import AnyPool
from xo_warmig.replication.retries import is_temporary

log = logging.getLogger("xo_warmig.engine")

_ENDS: Final = {Phase.DONE: TaskEnd.SUCCESS, Phase.CANCELLED: TaskEnd.CANCELLED, Phase.FAILED: TaskEnd.FAILURE}
_CUTOVER: Final = frozenset({Phase.STOPPING, Phase.FINALISING, Phase.VERIFYING, Phase.STARTING})
_UNDO: Final = frozenset({Phase.ROLLING_BACK, Phase.CANCELLING})
# XO rounds to whole per cents, too.
_DIGITS: Final = 2

Cancel = Callable[[Journal], Awaitable[None]]


class PoolTasks:
    """Those of all migrations.

    ``cancel`` asks for a migration's end and does not wait for it; it raises IncorrectState. ``is_ours`` says whether this process has
    taken a migration up: before that another may have it (R16).
    """

    def __init__(self, around: Surroundings, cancel: Cancel, is_ours: Callable[[str], bool]) -> None:
        self._around = around
        self._cancel = cancel
        self._is_ours = is_ours
        self._refusing: set[str] = set()  # uuids of pools that will have none

    async def show(self, journal: Journal) -> None:
        """Until some seconds after the migration's end. Raises nothing."""
        try:
            await _OnShow(journal, self._around, self._cancel, self._refusing).run(self._is_ours)
        except Exception:
            log.exception("migration %s is on show at its pools no more", journal.id)


class _OnShow:
    """One migration's."""

    def __init__(self, journal: Journal, around: Surroundings, cancel: Cancel, refusing: set[str]) -> None:
        self._journal = journal
        self._around = around
        self._cancel = cancel
        self._refusing = refusing
        self._told: dict[str, float] = {}  # progress, by pool
        self._complained: set[str] = set()  # pools whose trouble is in the log
        self._unsettled: set[str] = set()  # pools that may have made one without our knowing
        self._looked = float("-inf")  # when, in seconds since the epoch
        self._cancel_refused = False

    @property
    def _state(self) -> MigrationState:
        return self._journal.state

    async def run(self, is_ours: Callable[[str], bool]) -> None:
        """From when it is taken up."""
        settings = self._around.settings
        while not self._state.ended:
            seen = self._journal.count
            wait = next_look(self._state, self._looked, settings) - self._journal.now()
            if self._state.epoch == 0 or not is_ours(self._journal.id):
                await self._journal.changed_within(settings.pool_task_seconds, seen)
            elif wait > 0:
                await self._journal.changed_within(wait, seen)
            else:
                pools = dict.fromkeys((self._state.plan.source_pool, self._state.plan.target_pool))
                await asyncio.gather(*(self._look(uuid) for uuid in pools))
                self._looked = self._journal.now()
        await asyncio.gather(*(self._finish(uuid) for uuid in sorted({*self._state.pool_tasks, *self._unsettled})))

    async def _look(self, uuid: str) -> None:
        if uuid in self._refusing:
            return
        try:
            await self._look_at(await self._around.pools.pool(uuid))
        except PoolUnreachable as away:
            log.debug("migration %s is not on show for now: %s", self._journal.id, away)
        except WarmigError as error:
            if error.code in REFUSED_FOR_GOOD:
                self._refusing.add(uuid)
                self._unsettled.discard(uuid)
            self._complain(uuid, error)

    async def _look_at(self, pool: AnyPool) -> None:
        task = self._state.pool_tasks.get(pool.uuid)
        if task is None:
            task = await self._show(pool)
            if task is None:
                return
        progress = round(self._journal.progress, _DIGITS)
        news = None if self._told.get(pool.uuid, 0.0) == progress else progress
        seen = await pool.look_at_task(task, progress=news)
        if seen is TaskSeen.GONE:
            self._told.pop(pool.uuid, None)
            await self._show(pool)
            return
        self._told[pool.uuid] = progress
        if seen is TaskSeen.CANCEL_ASKED:
            await self._heard_cancel(pool)

    async def _show(self, pool: AnyPool) -> str | None:
        plan = self._state.plan
        wanted = PoolTask(
            migration=self._journal.id,
            label=label_of(plan.vm.name_label),
            description=description_of(self._journal.id, plan.source_pool_name, plan.target_pool_name),
            vm=plan.vm.uuid if pool.uuid == plan.source_pool else self._state.target_vm or "",
        )
        self._unsettled.add(pool.uuid)
        task = await pool.show_task(wanted, epoch=max(1, self._state.epoch))
        self._unsettled.discard(pool.uuid)
        if task is None:
            self._refusing.add(pool.uuid)
            log.info("pool %s shows no migrations: its release lets nobody end a task", pool.name)
        else:
            await self._journal.record(PoolTaskShown(pool=pool.uuid, task=task))
        return task

    async def _heard_cancel(self, pool: AnyPool) -> None:
        """As ``warmMigration.cancel`` would: before the target's start was asked for, and later not at all."""
        if self._state.cancel_asked or self._cancel_refused:
            return
        log.info("migration %s: its task on pool %s is to be cancelled", self._journal.id, pool.name)
        try:
            await self._cancel(self._journal)
        except IncorrectState as refusal:
            self._cancel_refused = True
            await self._journal.warn(
                "CANCEL_NOT_HEEDED",
                f"its task on pool {pool.name} was cancelled too late: {refusal.message}",
                remedy=refusal.remedy,
                pool=pool.uuid,
            )

    async def _finish(self, uuid: str) -> None:
        """Say how it ended, and take the task away once people had time to see that. What a pool refuses is left to a sweep."""
        clock, settings = self._around.clock, self._around.settings
        deadline = clock.monotonic() + settings.pool_patience_seconds
        told = False
        while True:
            news = self._around.pools.news()
            try:
                pool = await self._around.pools.pool(uuid)
                task = self._state.pool_tasks.get(uuid) or await self._show(pool)
                if task is None:
                    return
                if not told:
                    await self._tell_end(pool, task)
                    told = True
                    await clock.sleep(settings.pool_task_linger_seconds)
                await pool.drop_task(task)
                break
            except WarmigError as error:
                if not _may_pass(error) or clock.monotonic() >= deadline:
                    self._complain(uuid, error)
                    break
            await self._around.until_news(news)
        await self._journal.record(PoolTaskDropped(pool=uuid))

    async def _tell_end(self, pool: AnyPool, task: str) -> None:
        try:
            await pool.end_task(task, _ENDS[self._state.phase], error=self._error())
        except PoolError as refusal:
            if _may_pass(refusal):
                raise
            self._complain(pool.uuid, refusal)

    def _error(self) -> list[str]:
        """As XAPI tells one: a code and a parameter."""
        error = self._state.error if self._state.phase is Phase.FAILED else None
        return [] if error is None else [str(error.get("code", "")), str(error.get("message", ""))]

    def _complain(self, uuid: str, error: WarmigError) -> None:
        if uuid not in self._complained:
            self._complained.add(uuid)
            log.info("migration %s is not on show as it should be: %s", self._journal.id, error)


def _may_pass(error: WarmigError) -> bool:
    return isinstance(error, PoolUnreachable) or (isinstance(error, PoolError) and is_temporary(error))


def next_look(state: MigrationState, last: float, settings: Settings) -> float:
    """When the tasks are looked at again after the ``last`` time, both in seconds since the epoch, if nothing changes until then.

    In a downtime seldom, and not in its first seconds: most are over before.
    """
    if _is_down(state):
        return max(last, state.shutdown_asked or last) + settings.pool_task_downtime_seconds
    return last + settings.pool_task_seconds


def _is_down(state: MigrationState) -> bool:
    """Whether neither VM runs, or soon will not, because of us."""
    if not state.source_was_running:
        return False
    if state.phase in _UNDO:
        return state.shutdown_asked is not None and not state.source_started_again
    return state.phase in _CUTOVER
