"""A disk of a pool that is read by blocks, over NBD: from its connections, which come and go, to the control domain's letting go."""

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from xo_warmig.disks.climb import Climb
from xo_warmig.disks.lanes import Lanes
from xo_warmig.disks.reads import DiskReader
from xo_warmig.errors import PoolError, TransferError, WarmigError
from xo_warmig.xapi.attachments import Owners, release_vbds, wait_until_let_go
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.nbd.connections import Opened
from xo_warmig.xapi.nbd.tickets import Ticket
from xo_warmig.xapi.serving import answers_at, held_by_dead_hosts_only

LOOK_SECONDS = 1.0  # how often a copy looks whether it is to have more connections
_PAUSE_SECONDS = 10.0  # after one did not open
_PAUSE_WITHOUT_SECONDS = 1.0  # the same where it was to be the only one
_TRIES_WITHOUT = 3
_FIRST_WAIT_SECONDS = 0.01  # the end of a read may be inside the downtime
_SOON_SECONDS = 5.0
_RELEASE_SECONDS = 60.0

log = logging.getLogger(__name__)

Open = Callable[[Ticket, Sequence[str]], Awaitable[list[Opened]]]
"""Opens a connection to each of these servers; those that do not open are given back."""


class OpenBlocks:
    """A disk that some connections read. Fits ``replication.ports.Blocks``.

    As long as it is open it gives connections back that others wait for, and opens more where they are free and worth it.
    """

    def __init__(
        self,
        connection: Connection,
        vdi: str,
        ref: str,
        opened: Sequence[Opened],
        *,
        ticket: Ticket,
        news: asyncio.Event,
        climb: Climb,
        open_more: Open,
        owners: Owners,
    ) -> None:
        """``news``: set when the ticket has some."""
        self._connection = connection
        self._vdi = vdi
        self._ref = ref
        self._ticket = ticket
        self._news = news
        self._climb = climb
        self._open_more = open_more
        self._owners = owners
        self._servers: dict[DiskReader, str] = {reader: place.server for place, reader in opened}
        self._leaving: set[DiskReader] = set()
        self._next_try = 0.0
        self._failures = 0
        self.lanes = Lanes(list(self._servers), stays=True, ended=self._ended)
        self._keeping = asyncio.ensure_future(self._keep())

    async def finish(self) -> None:
        """Close, and see the disk free, but for hosts that are down. Raises TransferError: a control domain still holds it."""
        await self._close()
        if await self._let_go(_SOON_SECONDS) or await self._only_the_dead_hold():
            return
        with contextlib.suppress(PoolError):  # a server that was restarted does not take away what it had attached
            await release_vbds(self._connection, self._ref)
        if not await self._let_go(_RELEASE_SECONDS):
            raise self._held()

    async def abort(self) -> None:
        """The same at once; what a restarted toolstack left attached is taken away. A pool that does not answer is not waited for."""
        await self._close()
        try:
            if await self._let_go(_SOON_SECONDS) or await self._only_the_dead_hold():
                return
            if await self._let_go(_RELEASE_SECONDS):
                return
            await release_vbds(self._connection, self._ref)
            if not await self._let_go(_RELEASE_SECONDS):
                raise self._held()
        except PoolError as error:
            log.warning("whether the disk %s is let go of is not known: %s", self._vdi, error)

    async def _close(self) -> None:
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        try:
            await asyncio.to_thread(self.lanes.close)
        finally:
            self._ticket.withdraw()

    async def _let_go(self, most_seconds: float) -> bool:
        return await wait_until_let_go(
            self._connection,
            [self._ref],
            most_seconds=most_seconds,
            first_wait_seconds=_FIRST_WAIT_SECONDS,
            owners=self._owners,
        )

    async def _only_the_dead_hold(self) -> bool:
        """What they have attached for reading stays so until they are back, or declared dead, and harms nobody but who destroys it."""
        answers = functools.partial(answers_at, self._connection)
        found = await held_by_dead_hosts_only(self._connection, [self._ref], answers)
        if found:
            log.warning("the disk %s stays attached on hosts that are down", self._vdi)
        return found

    def _held(self) -> TransferError:
        return TransferError(
            f"a control domain still holds the disk {self._vdi}, which was read over NBD",
            code="DISK_STILL_ATTACHED",
            evidence={"disk": self._vdi, "side": "source"},
            remedy="unplug and destroy the disk's VBD of the control domain on its pool",
        )

    async def _keep(self) -> None:
        """Until it is cancelled, or there is nothing more to read."""
        try:
            await self._share()
        except Exception as failure:
            log.exception("the connections to the disk %s are not looked after any more", self._vdi)
            self.lanes.fail(failure)  # it may have none, and would wait for ever
        self._ticket.want(0)

    async def _share(self) -> None:
        looked = time.monotonic()
        while not self.lanes.over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, looked + LOOK_SECONDS - time.monotonic())):
                    await self._news.wait()
            self._news.clear()
            self._give_way()
            now = time.monotonic()
            if now - looked >= LOOK_SECONDS:
                looked = now
                self._ticket.take_turns()
                self._ticket.want(self._climb.look(now, self.lanes.done_bytes, len(self._servers)))
                await self._come_back(now)
            elif self._ticket.urgent or not self._servers:  # else not at once: so none is opened for moments only
                await self._come_back(now)

    def _give_way(self) -> None:
        """Let others have what is theirs, once what was asked for over it is read."""
        servers = dict(self._servers)
        surplus = Counter(self._ticket.surplus()) - Counter(
            servers[each] for each in list(self._leaving) if each in servers
        )
        for reader, server in servers.items():
            if surplus[server] and reader not in self._leaving:
                surplus[server] -= 1
                self._leaving.add(reader)
                self.lanes.dismiss(reader)

    async def _come_back(self, now: float) -> None:
        """Open one more, where one is free."""
        if self.lanes.over or now < self._next_try or (server := self._ticket.take()) is None:
            return
        try:
            for place, reader in await self._open_more(self._ticket, [server]):
                self._servers[reader] = place.server
                if not self.lanes.join(reader):
                    self._ended(reader)
            self._failures = 0
        except WarmigError as error:
            self._not_opened(error)

    def _not_opened(self, error: WarmigError) -> None:
        log.info("the disk %s is read over no more connections for now: %s", self._vdi, error)
        self._failures += 1
        pause = _PAUSE_SECONDS if self._servers else _PAUSE_WITHOUT_SECONDS
        self._next_try = time.monotonic() + pause
        if not self._servers and self._failures >= _TRIES_WITHOUT:
            self.lanes.fail(error)

    def _ended(self, reader: DiskReader) -> None:
        """In the thread that read over it."""
        self._ticket.give_back(self._servers[reader])
        del self._servers[reader]
        self._leaving.discard(reader)
