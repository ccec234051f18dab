"""What the steps of one migration work with: its journal, its pools, and the ways of calling a pool that may be away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from xo_warmig.disks.admission import Tell
from xo_warmig.engine.hashes import Tables
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.pacing import Pacing, Way
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.stopwatch import Stopwatch
from xo_warmig.engine.store import Store
from xo_warmig.errors import IncorrectState, PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.passes import PassReport
from xo_warmig.model.phases import WaitingFor
from xo_warmig.model.vm import Life
from xo_warmig.replication.choosing import Offer
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ends import close_all
from xo_warmig.replication.ports import Import, Pools, SourcePool, TargetPool
from xo_warmig.replication.retries import is_outcome_lost, is_temporary
from xo_warmig.replication.ways import Streams, Ways

log = logging.getLogger("xo_warmig.engine")

Result = TypeVar("Result")


class Surroundings:
    """What all migrations of a server share."""

    def __init__(
        self,
        pools: Pools,
        store: Store,
        streams: Streams,
        clock: Clock,
        settings: Settings,
        pacing: Pacing,
        tables: Tables,
    ) -> None:
        self.pools = pools
        self.store = store
        self.tables = tables
        self.streams = streams
        self.clock = clock
        self.settings = settings
        self.pacing = pacing

    async def until_news(self, news: asyncio.Event) -> None:
        """While a pool is away: until one is connected (``news``), but not longer than it is to be asked again."""
        sleeping = asyncio.ensure_future(self.clock.sleep(self.settings.pool_poll_seconds))
        coming = asyncio.ensure_future(news.wait())
        try:
            await asyncio.wait({sleeping, coming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            coming.cancel()


class Work:
    """One migration at work in this process. What it holds goes with the process; all else is in its journal."""

    def __init__(
        self, journal: Journal, source: SourcePool, target: TargetPool, around: Surroundings, earlier: list[Journal]
    ) -> None:
        self.around = around
        self.journal = journal
        self.source = source
        self.target = target
        self.pools = around.pools
        self.store = around.store
        self.tables = around.tables
        self.streams = around.streams
        self.clock = around.clock
        self.settings = around.settings
        self.pacing = around.pacing
        self.earlier = earlier
        # How long shutdowns and starts are expected to take.
        self.shutdown_seconds = around.settings.shutdown_seconds
        self.start_seconds = around.settings.start_seconds
        self.seen_throughput: float | None = None  # what final passes of earlier migrations between these pools made
        self.earlier_passes: list[PassReport] = []  # of migrations between these pools, the oldest first
        self.ended: Callable[[], frozenset[str]] = frozenset  # ids of this server's migrations that are at their end
        self.watch = Stopwatch(around.clock)
        self.held: dict[str, Import] = {}
        self.carrying: asyncio.Future[None] | None = (
            None  # the VM's own changed state, on its way beside the final pass
        )
        self.ticking: asyncio.Task[None] | None = None
        self.trouble: WarmigError | None = None  # why it could not be taken up as it should
        self.start_asked_here = False
        # The life in which this very process saw the source shut down as it had asked, and what reads its disks then (R21).
        self.shut_down_in: Life | None = None
        self.final_offers: dict[str, Offer] = {}  # by source disk
        self.queueing: dict[tuple[str, WaitingFor], str] = {}  # source disks whose copies wait, and in words what for
        self.closing = False
        self._interruptible: set[asyncio.Future[Any]] = set()

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
        return Ways(self.source, self.target, self.clock, self.streams)

    @property
    def way(self) -> Way:
        return Way(self.id, self.state.request, self.source, self.target)

    async def interruptible(self, body: Coroutine[Any, Any, Result]) -> Result:
        """Await ``body``; ``interrupt`` makes it raise CancelledError here, with all that it held let go of."""
        task = asyncio.ensure_future(body)
        self._interruptible.add(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                # This very task is stopped, with the whole server: leave no connection open.
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            self._interruptible.discard(task)

    def interrupt(self) -> None:
        """Stop what runs; the next turn looks why."""
        for task in self._interruptible:
            task.cancel()

    def was_interrupted(self) -> bool:
        """Whether a CancelledError that just came out of ``interruptible`` was our own word, and not this task's own end."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() == 0

    def teller_of(self, disk: str, waiting_for: WaitingFor) -> Tell:
        """What a disk's copy tells that it waits for; the migration waits where none of its disks moves."""

        async def tell(why: str) -> None:
            if why:
                self.queueing[disk, waiting_for] = why
            else:
                self.queueing.pop((disk, waiting_for), None)
            await self._tell_queueing()

        return tell

    async def _tell_queueing(self) -> None:
        plan, told = self.state.open_pass, self.state.waiting_for
        left = {each.disk for each in plan.disks} - self.state.copied.keys() if plan is not None else set()
        waits = bool(self.queueing) and left <= {disk for disk, _ in self.queueing}
        (_, waiting_for), why = next(iter(self.queueing.items())) if waits else (("", WaitingFor.NOTHING), "")
        if told is not waiting_for and told in (WaitingFor.NOTHING, WaitingFor.SLOT, WaitingFor.POOL):
            await self.journal.wait_for(waiting_for, why)

    async def parked_if_closing(self) -> None:
        """While the server stops, nothing new begins: whoever drives this is ended from outside."""
        if self.closing:
            await asyncio.get_running_loop().create_future()

    async def drop_held(self) -> None:
        """Close the imports that were opened ahead, and see their disks free; stop what travels beside a final pass."""
        held, self.held = self.held, {}
        await self.stop_carrying()
        await close_all(*held.values())

    async def stop_carrying(self) -> None:
        """Stop taking the VM's own state over, if that is under way."""
        carrying, self.carrying = self.carrying, None
        if carrying is not None:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)

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
            news = self.pools.news()
            try:
                result = await call()
            except PoolUnreachable as away:
                await self.journal.wait_for(WaitingFor.POOL, str(away))
                await self.around.until_news(news)
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

    async def for_a_while(
        self, call: Callable[[], Coroutine[Any, Any, Result]], *, seconds: float | None = None
    ) -> Result:
        """Call as long as something may wait for a pool that is away (clean-up's time by default), then raise what stands against it."""
        patience = self.settings.cleanup_seconds if seconds is None else seconds
        deadline = self.clock.monotonic() + patience
        while True:
            news = self.pools.news()
            try:
                return await self.tried(call)
            except PoolUnreachable:
                if self.clock.monotonic() >= deadline:
                    raise
                await self.around.until_news(news)

    async def patiently(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Call while the source runs on: a pool that is away is waited for with patience, a refusal that passes is tried again."""
        return await self.for_a_while(call, seconds=self.settings.pool_patience_seconds)

    async def briefly(self, call: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Call in the downtime: a pool that is away gets a minute, a refusal that passes is tried again."""
        return await self.for_a_while(call, seconds=self.settings.downtime_patience_seconds)
