"""Processes that die: an engine whose pools and store fall silent at a chosen call, and the next one on the same store."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tests.engine.fake_pools import FakeEnd, FakePool, FakePools
from tests.engine.virtual_time import VirtualClock
from tests.engine.world import World
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.hashes import MemoryTables
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.store import MemoryStore
from xo_warmig.model.events import Event, RecordedEvent
from xo_warmig.model.passes import Mark

SETTINGS = Settings(halting_seconds=30.0)


async def silence() -> None:
    """What a dead process does next."""
    await asyncio.get_running_loop().create_future()


class Lives:
    """The lives of one server, one after the other, in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = MemoryStore()
        self.tables = MemoryTables()
        self.number = 0
        self.engine = self._born()

    def _born(self) -> Engine:
        self.number += 1
        self.pools = MortalPools(self)
        return Engine(
            self.pools,
            store=MortalStore(self),
            clock=VirtualClock(),
            streams=self.world.streams,
            settings=SETTINGS,
            tables=self.tables,
        )

    def die(self) -> None:
        """The process is gone at once; the kernel closes its connections, which the pools notice a moment later."""
        self.number += 1
        for pool in (self.world.source, self.world.target):
            for end in list(pool.ends):
                end.dead = True
                asyncio.get_running_loop().call_later(0.2, end.gone)

    def is_over(self, life: int) -> bool:
        return life != self.number

    async def next(self) -> Engine:
        """Another process on the same store."""
        self.engine = self._born()
        await self.engine.open()
        return self.engine


class MortalPools(FakePools):
    """The directory as one life sees it."""

    def __init__(self, lives: Lives) -> None:
        super().__init__(lives.world)
        self.pools: Sequence[Any] = [MortalPool(pool, lives) for pool in (lives.world.source, lives.world.target)]


class MortalPool:
    """A pool whose answers, or whose very calls, a dead process never gets to see."""

    def __init__(self, pool: FakePool, lives: Lives) -> None:
        self._pool, self._lives, self._life = pool, lives, lives.number

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._pool, name)
        return self._mortal(found) if asyncio.iscoroutinefunction(found) else found

    def _mortal(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            if self._lives.is_over(self._life):
                await silence()
            answer = await method(*arguments, **named)
            if self._lives.is_over(self._life):
                if isinstance(answer, FakeEnd):
                    answer.dead = True
                    answer.gone()  # nobody has the other end of the connection
                await silence()
            return answer

        return call


class MortalStore:
    """The store as one life has it; ``dies_at``: the number of the append before, or with ``after`` after, which the process dies."""

    def __init__(self, lives: Lives) -> None:
        self._lives, self._life, self._store = lives, lives.number, lives.store

    async def append(self, migration: str, time: float, events: Sequence[Event]) -> list[RecordedEvent]:
        if self._lives.is_over(self._life):
            await silence()
        async with self._lives.world.call("store", "append"):
            if self._lives.is_over(self._life):
                await silence()
            recorded = await self._store.append(migration, time, events)
        if self._lives.is_over(self._life):
            await silence()
        return recorded

    def migrations(self) -> list[str]:
        return self._store.migrations()

    def events(self, migration: str) -> list[RecordedEvent]:
        return self._store.events(migration)

    async def forget_pending(self, migration: str) -> None:
        await self._store.forget_pending(migration)

    async def put_pending(self, migration: str, disk: str, blocks: bytes | None) -> None:
        await self._store.put_pending(migration, disk, blocks)

    def pending(self, migration: str, disk: str) -> bytes | None:
        return self._store.pending(migration, disk)

    async def put_mark(self, migration: str, disk: str, pass_number: int, mark: Mark | None) -> None:
        await self._store.put_mark(migration, disk, pass_number, mark)

    def mark(self, migration: str, disk: str, pass_number: int) -> Mark | None:
        return self._store.mark(migration, disk, pass_number)
