"""The migrations that this process has at work: each is taken up once, whoever asks for it first."""

import asyncio

from xo_warmig.engine.absence import absent_pool
from xo_warmig.engine.deciding import predicted_now
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.lessons import downtime_parts, ends_of, known_of, seen_throughput
from xo_warmig.engine.takeover import take_up
from xo_warmig.engine.work import Surroundings, Work
from xo_warmig.errors import PoolUnreachable, WarmigError
from xo_warmig.model.passes import PassReport
from xo_warmig.model.phases import WaitingFor
from xo_warmig.replication.known import Known
from xo_warmig.replication.ports import AnyPool


class Works:
    """By migration."""

    def __init__(self, journals: dict[str, Journal], around: Surroundings) -> None:
        self._journals = journals
        self._around = around
        self._taken: dict[str, asyncio.Task[Work]] = {}
        self._closing = False

    async def of(self, migration: str) -> Work:
        """The migration at work; waits until its pools were seen and it was taken up."""
        if migration not in self._taken:
            self._taken[migration] = asyncio.create_task(self._take(migration), name=f"taking up {migration}")
        return await asyncio.shield(self._taken[migration])

    async def if_connected(self, migration: str) -> Work | None:
        """The same without waiting: None while a pool of its is away. For what can be done another time."""
        plan = self._journals[migration].state.plan
        try:
            for uuid in (plan.source_pool, plan.target_pool):
                await self._around.pools.pool(uuid)
        except PoolUnreachable:
            return None
        return await self.of(migration)

    def at_hand(self, migration: str) -> Work | None:
        """The same, if it was taken up already."""
        task = self._taken.get(migration)
        return (
            task.result()
            if task is not None and task.done() and not task.cancelled() and not task.exception()
            else None
        )

    def is_ours(self, migration: str) -> bool:
        """Whether it was taken up, and well: before that, or without, another server may have it (R16)."""
        work = self.at_hand(migration)
        return work is not None and work.trouble is None

    def all_at_hand(self) -> list[Work]:
        found = (self.at_hand(migration) for migration in list(self._taken))
        return [work for work in found if work is not None]

    def forget(self, migration: str) -> None:
        """It is at its end."""
        self._taken.pop(migration, None)

    async def close(self) -> None:
        """Nothing is taken up any more."""
        waiting = [task for task in self._taken.values() if not task.done()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _take(self, migration: str) -> Work:
        journal = self._journals[migration]
        plan = journal.state.plan
        source = await self._pool(journal, plan.source_pool, plan.source_pool_name, dispensable=False)
        target = await self._pool(journal, plan.target_pool, plan.target_pool_name, dispensable=True)
        work = Work(journal, source, target, self._around, self.earlier(plan.vm.uuid, than=migration))
        work.shutdown_seconds, work.start_seconds = self._learned()
        work.earlier_passes = self.passes_between(plan.source_pool, plan.target_pool, than=migration)
        work.seen_throughput = seen_throughput(work.earlier_passes)
        work.ended = self.ended
        journal.predict = lambda: predicted_now(work)
        try:
            await take_up(work)
        except WarmigError as trouble:
            work.trouble = trouble
        return work

    async def _pool(self, journal: Journal, uuid: str, name: str, *, dispensable: bool) -> AnyPool:
        """Wait until the pool is connected: a server that was just started connects in the background.

        A cancel does without a target pool that does not come back: the source is given back, and what stays there is remembered.
        """
        while True:
            news = self._around.pools.news()
            try:
                pool = await self._around.pools.pool(uuid)
            except PoolUnreachable as away:
                state = journal.state
                if dispensable and state.cancel_asked and not (state.start_asked or state.ended):
                    return absent_pool(self._around.pools, uuid, name)
                await journal.wait_for(WaitingFor.POOL, away.message or f"pool {name} is not connected")
                await self._around.until_news(news)
            else:
                if journal.state.waiting_for is WaitingFor.POOL:
                    await journal.wait_for(WaitingFor.NOTHING)
                return pool

    def ended(self) -> frozenset[str]:
        """Ids of all migrations that are at their end."""
        return frozenset(each.id for each in self._journals.values() if each.state.ended)

    def earlier(self, vm: str, *, than: str = "") -> list[Journal]:
        """Ended migrations of the VM that left something, the newest first."""
        return [
            each
            for each in reversed(self._journals.values())
            if each.id != than and each.state.plan.vm.uuid == vm and each.state.ended
            if each.state.kept or each.state.left or each.state.door_key is not None
        ]

    def known_of(self, vm: str, source_pool: str, target_pool: str) -> Known:
        """What all migrations so far showed, for the plan of another one."""
        states = [journal.state for journal in self._journals.values()]
        settings = self._around.settings
        usual = {"shutdown": settings.shutdown_seconds, "start": settings.start_seconds}
        return known_of(states, vm, source_pool, target_pool)._replace(usual=usual)

    def _learned(self) -> tuple[float, float]:
        """How long shutdown and start took in the newest migrations, or what the settings guess."""
        parts = downtime_parts(journal.state for journal in self._journals.values())
        settings = self._around.settings
        return parts.get("shutdown", settings.shutdown_seconds), parts.get("start", settings.start_seconds)

    def passes_between(self, source_pool: str, target_pool: str, *, than: str = "") -> list[PassReport]:
        """Those of all migrations so far from one pool to another, the oldest migration's first."""
        states = (journal.state for journal in self._journals.values() if journal.id != than)
        return [each for state in states if ends_of(state) == (source_pool, target_pool) for each in state.passes]
