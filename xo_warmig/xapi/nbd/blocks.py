"""Disks of a pool that can be read by blocks, over NBD: from the question where they are served to the turn of each."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Sequence
from typing import Any

from xo_warmig.disks.admission import Tell, nobody, told_if_long
from xo_warmig.disks.climb import USUAL_CONNECTIONS, Climb
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, TransferError
from xo_warmig.model.nbd import NO_PURPOSE, RELEASE_WITHOUT_NBD
from xo_warmig.xapi import objects
from xo_warmig.xapi.attachments import Owners
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.nbd.connections import Opened, open_readers
from xo_warmig.xapi.nbd.hosts import NbdHosts
from xo_warmig.xapi.nbd.open_blocks import OpenBlocks
from xo_warmig.xapi.nbd.opening import NbdPlace, nbd_place
from xo_warmig.xapi.nbd.tickets import Sharing, Ticket

_TRIES = 2
_ALLOWING = {"nbd", "insecure_nbd"}
_PURPOSES_FRESH_SECONDS = 60.0
_JUST_NOW_SECONDS = 5.0  # for so long an answer where the disk is served is good for opening it
_ASKED_ANEW_SECONDS = 60.0  # where the disk is served, while its turn does not come

log = logging.getLogger(__name__)

SHARING = Sharing()


class BlockServers:
    """The NBD servers of one pool's hosts."""

    def __init__(self, connection: Connection, owners: Owners) -> None:
        self.connection = connection
        self.owners = owners
        self._hosts = NbdHosts(connection)
        self._purposes: set[str] = set()
        self._without_purposes = False  # networks have none before the release with NBD, 7.3
        self._asked = -_PURPOSES_FRESH_SECONDS

    async def against(self, vdi: str) -> str:
        """Why the disk is not served, in words; "" when it is."""
        try:
            ref, against = await asyncio.gather(objects.ref_of(self.connection, "VDI", vdi), self.against_all())
            return against or ("" if await self.places(ref) else NO_PURPOSE)
        except (NoSuchObject, PoolUnreachable):
            raise
        except PoolError as error:
            # One host that is down is enough for that; exports do without it.
            return RELEASE_WITHOUT_NBD if error.code == "MESSAGE_METHOD_UNKNOWN" else str(error)

    async def against_all(self) -> str:
        """Why no disk of the pool is served, in words; "" when its networks allow it."""
        purposes = await self._network_purposes()
        if self._without_purposes:
            return RELEASE_WITHOUT_NBD
        return "" if purposes & _ALLOWING else NO_PURPOSE

    async def queue(
        self, vdi: str, *, connections: int, most: int, urgent: bool = False, tell: Tell = nobody
    ) -> "BlocksTurn":
        """Wait until a connection to the disk may be opened; see ``replication.ports.Pool.queue_for_blocks``.

        Raises:
            NoSuchObject. TransferError: NBD_NOT_SERVED.
        """
        turn = BlocksTurn(self, vdi, await objects.ref_of(self.connection, "VDI", vdi), connections, most)
        try:
            await turn.come(urgent=urgent, tell=tell)
        except BaseException:
            turn.give_up()
            raise
        return turn

    async def places(self, ref: str) -> list[NbdPlace]:
        """A fresh answer each time: the current session is in the exports' names."""
        infos, purposes = await asyncio.gather(self.connection.call("VDI.get_nbd_info", ref), self._network_purposes())
        return await self._hosts.best([nbd_place(info, secure="nbd" in purposes) for info in infos])

    async def _network_purposes(self) -> set[str]:
        # Whoever has just allowed NBD, because a plan says that it is not, is not told so again.
        fresh_seconds = _PURPOSES_FRESH_SECONDS if self._purposes & _ALLOWING else _JUST_NOW_SECONDS
        if time.monotonic() - self._asked > fresh_seconds:
            networks: dict[str, dict[str, Any]] = await self.connection.call("network.get_all_records")
            self._without_purposes = bool(networks) and not any("purpose" in record for record in networks.values())
            self._purposes = {purpose for record in networks.values() for purpose in record.get("purpose", [])}
            self._asked = time.monotonic()
        return self._purposes


class BlocksTurn:
    """A disk's turn to be read. Fits ``replication.ports.BlocksTurn``. Every connection that it has is on its ticket."""

    def __init__(self, servers: BlockServers, vdi: str, ref: str, connections: int, most: int) -> None:
        self._pool = servers
        self._connection = servers.connection
        self._vdi = vdi
        self._ref = ref
        self._connections = connections
        self._most = most
        self._news = asyncio.Event()
        self._ticket: Ticket | None = None
        self._first: list[str] = []  # servers of the connections that may be opened
        self._idle = False  # while others may take them back
        self._tell: Tell = nobody
        self._told: list[NbdPlace] = []  # where the disk is served, and since when that is known
        self._told_at = 0.0
        self._addresses = itertools.count()

    async def come(self, *, urgent: bool, tell: Tell) -> None:
        """Wait for the first connection."""
        loop = asyncio.get_running_loop()

        def news() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._heard)

        servers = await self._servers()
        self._ticket, self._tell = SHARING.ask(servers, self._connections, news, urgent=urgent), tell
        await self.wait()
        self._idle = True
        self._heard()

    async def wait(self) -> None:
        """Where it has no connection that may be opened, or gave it back meanwhile, for the next one."""
        self._idle = False
        ticket = self._ticket
        assert ticket is not None
        if self._first:
            return
        ticket.want(self._connections)
        if (server := ticket.take()) is None:
            why = f"other copies have all NBD connections that this server may have to the hosts of disk {self._vdi}"
            server = await told_if_long(self._wait(ticket), self._tell, why)
        self._first = [server]

    def _heard(self) -> None:
        """Who cannot open yet, as it waits for something else, gives way as those do that read: they may have what it waits for."""
        self._news.set()
        if self._idle and self._ticket is not None and self._ticket.surplus():
            first, self._first = self._first, []
            self._ticket.want(0)
            for server in first:
                self._ticket.give_back(server)

    async def open(self) -> OpenBlocks:
        """As many connections as are free now, up to those that were asked for. A host that fails is not the last word.

        Raises:
            TransferError: none opens. PoolError, FormatError: see ``open_readers``.
        """
        ticket, first = self._ticket, self._first
        assert ticket is not None
        try:
            opened = await self._opened(ticket, first)
        except BaseException:
            self.give_up()
            raise
        self._ticket = None  # it is the open disk's from here on
        return OpenBlocks(
            self._connection,
            self._vdi,
            self._ref,
            opened,
            ticket=ticket,
            news=self._news,
            climb=Climb(self._connections, min(USUAL_CONNECTIONS, self._most), self._most),
            open_more=self._open_at,
            owners=self._pool.owners,
        )

    def give_up(self) -> None:
        """It is over, unless the disk was opened."""
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.withdraw()

    async def _opened(self, ticket: Ticket, servers: list[str]) -> list[Opened]:
        for left in reversed(range(_TRIES)):
            while len(servers) < self._connections and (server := ticket.take()) is not None:
                servers.append(server)
            try:
                return await self._open_at(ticket, servers)
            except TransferError as error:
                if not left or error.code == "NBD_NOT_SERVED" or (server := ticket.take()) is None:
                    raise
                log.info("the disk %s is asked for once more: %s", self._vdi, error)
                servers = [server]
        raise AssertionError

    async def _open_at(self, ticket: Ticket, servers: Sequence[str]) -> list[Opened]:
        """A connection to each; what does not open is given back, and its server is the last to be tried again."""
        opened: list[Opened] = []
        try:
            places = await self._places()
            by_server = {server: [place for place in places if place.server == server] for server in servers}
            at = [its[next(self._addresses) % len(its)] for server in servers if (its := by_server[server])]
            if not at:
                raise not_served()
            opened = await open_readers(at, self._connection.trust)
        finally:
            failed = list(servers)
            for place, _ in opened:
                failed.remove(place.server)
            if failed:
                ticket.move(sorted(ticket.servers, key=lambda server: server in failed))
            for server in failed:
                ticket.give_back(server)
        return opened

    async def _places(self) -> list[NbdPlace]:
        """What was told when the turn was asked for, where it came at once: in a downtime each question costs. Only once, as it may be
        for that answer that nothing opens.
        """
        told, self._told = self._told, []
        if told and time.monotonic() - self._told_at <= _JUST_NOW_SECONDS:
            return told
        return await self._pool.places(self._ref)

    async def _servers(self) -> list[str]:
        self._told, self._told_at = await self._pool.places(self._ref), time.monotonic()
        if not self._told:
            raise not_served()
        return [place.server for place in self._told]

    async def _wait(self, ticket: Ticket) -> str:
        """The server of the connection that may be opened first."""
        asked = time.monotonic()
        while (server := ticket.take()) is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASKED_ANEW_SECONDS):
                    await self._news.wait()
            self._news.clear()
            if time.monotonic() - asked >= _ASKED_ANEW_SECONDS:
                ticket.move(await self._servers())
                asked = time.monotonic()
        return server


def not_served() -> TransferError:
    """By any host that is up."""
    return TransferError(
        "the pool serves the disk nowhere over NBD",
        code="NBD_NOT_SERVED",
        remedy="Give a network that the pool's hosts have an address on the purpose nbd.",
    )
