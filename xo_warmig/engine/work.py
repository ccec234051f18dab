"""What the steps of one migration work with: its journal, its pools, and the ways of calling a pool that may be away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from xo_warmig.engine.journal import Journal
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import IncorrectState, PoolError, PoolUnreachable
from xo_warmig.model.phases import WaitingFor, can_cancel
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ports import Import, Pools, SourcePool, TargetPool
from xo_warmig.replication.retries import is_outcome_lost, is_temporary
from xo_warmig.replication.run import Copy, Ways, close_all

log = logging.getLogger("xo_warmig.engine")

Result = TypeVar("Result")


class Work:
    """One migration at work."""

    def __init__(
        self,
        journal: Journal,
        source: SourcePool,
        target: TargetPool,
        *,
        copy: Copy,
        clock: Clock,
        settings: Settings,
        pools: Pools,
        earlier: list[Journal],
        shutdown_seconds: float,
        start_seconds: float,
    ) -> None:
        self.journal = journal
        self.source = source
        self.target = target
        self.copy = copy
        self.clock = clock
        self.settings = settings
        self.pools = pools
        self.earlier = earlier
        self.shutdown_seconds = shutdown_seconds
        self.start_seconds = start_seconds
        self.held: dict[str, Import] = {}
        self.forward: asyncio.Task[None] | None = None
        self.cancel_wanted = False
        self.crossing = False

    @property
    def state(self) -> MigrationState:
        return self.journal.state

    @property
    def id(self) -> str:
        return self.journal.id

    @property
    def vm(self) -> str:
        """The source VM's uuid."""
        return self.state.plan.vm.uuid

    @property
    def target_vm(self) -> str:
        """The target's uuid, which stands from the preparation on."""
        uuid = self.state.target_vm
        if uuid is None:
            raise IncorrectState(f"migration {self.id} has no target yet", code="NO_TARGET")
        return uuid

    @property
    def ways(self) -> Ways:
        return Ways(self.source, self.target, self.copy, self.clock)

    @property
    def cancellable(self) -> bool:
        """Whether the start of the target was not asked for yet, nor is just about to be."""
        return can_cancel(self.state.phase) and not self.crossing

    async def drop_held(self) -> None:
        """Close the imports that were opened ahead, and see their disks free."""
        held, self.held = self.held, {}
        await close_all(*held.values())

    async def until(self, seen: Callable[[], Awaitable[bool]], *, seconds: float, poll_seconds: float) -> bool:
        """Look again and again until it is seen (True) or the time is over (False). Looks at least once."""
        deadline = self.clock.monotonic() + seconds
        while not await seen():
            if self.clock.monotonic() >= deadline:
                return False
            await self.clock.sleep(poll_seconds)
        return True

    async def once_back(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Call a pool for as long as it is away: what waits here must not be guessed. What the pool refuses is raised."""
        while True:
            try:
                result = await call()
            except PoolUnreachable as away:
                await self.journal.wait_for(WaitingFor.POOL, str(away))
                await self.clock.sleep(self.settings.pool_poll_seconds)
            else:
                await self.journal.wait_for(WaitingFor.NOTHING)
                return result

    async def tried(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Call a few times, if what the pool says is of the kind that passes. The call must be one that may run twice (R11)."""
        for _ in range(self.settings.tries - 1):
            try:
                return await call()
            except PoolError as refusal:
                if not (is_temporary(refusal) or is_outcome_lost(refusal)):
                    raise
                log.info("migration %s: tried again after: %s", self.id, refusal)
                await self.clock.sleep(self.settings.retry_seconds)
        return await call()

    async def for_a_while(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Call as long as clean-up waits for a pool that is away, then raise what stands against it."""
        deadline = self.clock.monotonic() + self.settings.cleanup_seconds
        while True:
            try:
                return await self.tried(call)
            except PoolUnreachable:
                if self.clock.monotonic() >= deadline:
                    raise
                await self.clock.sleep(self.settings.pool_poll_seconds)
