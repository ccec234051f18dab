"""Disks of a pool open for reading by blocks, over NBD: from the question where they are served to the control domain's letting go."""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable, TransferError
from xo_warmig.xapi import objects
from xo_warmig.xapi.attachments import Owners, release_vbds, wait_until_let_go
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.nbd_connections import open_readers
from xo_warmig.xapi.nbd_hosts import NbdHosts
from xo_warmig.xapi.nbd_opening import NbdPlace, nbd_place

# A host takes 16 connections and drops the rest without a word; backups want some, too.
MOST_PER_HOST = 8
MORE_IF_URGENT = 2  # for a VM that is down meanwhile
_TRIES = 2
_PURPOSES_FRESH_SECONDS = 60.0
NO_PURPOSE = "no network of the pool has the purpose nbd or insecure_nbd"
_FIRST_WAIT_SECONDS = 0.01  # the end of a read may be inside the downtime
_SOON_SECONDS = 5.0
_RELEASE_SECONDS = 60.0

log = logging.getLogger(__name__)


class Slots:
    """How many connections this process has to each host. Thread-safe."""

    def __init__(self, most_per_host: int = MOST_PER_HOST, more_if_urgent: int = MORE_IF_URGENT) -> None:
        self._lock = threading.Lock()
        self._most = most_per_host
        self._more = more_if_urgent
        self._used: Counter[str] = Counter()
        self._turn = itertools.count()

    def take(self, places: Sequence[NbdPlace], count: int, *, urgent: bool = False) -> list[NbdPlace]:
        """Up to so many, over all the places in turn, another one first each time; none when every host has as many as it may."""
        taken: list[NbdPlace] = []
        most = self._most + self._more if urgent else self._most
        with self._lock:
            first = next(self._turn) % max(1, len(places))
            for place in itertools.islice(itertools.cycle(places), first, first + count * len(places)):
                if len(taken) < count and self._used[place.server] < most:
                    self._used[place.server] += 1
                    taken.append(place)
        return taken

    def give_back(self, taken: Sequence[NbdPlace]) -> None:
        with self._lock:
            self._used.subtract(place.server for place in taken)


SLOTS = Slots()


class OpenBlocks:
    """A disk that some connections read. Fits ``replication.ports.Blocks``."""

    def __init__(
        self,
        connection: Connection,
        vdi: str,
        ref: str,
        readers: list[NbdReader],
        taken: list[NbdPlace],
        *,
        owners: Owners,
    ) -> None:
        self.readers = readers
        self._connection = connection
        self._vdi = vdi
        self._ref = ref
        self._taken = taken
        self._owners = owners

    async def finish(self) -> None:
        """Close, and see the disk free. Raises TransferError: a control domain still holds it."""
        await self._close()
        if await self._let_go(_SOON_SECONDS):
            return
        with contextlib.suppress(PoolError):  # a server that was restarted does not take away what it had attached
            await release_vbds(self._connection, self._ref)
        if not await self._let_go(_RELEASE_SECONDS):
            raise self._held()

    async def abort(self) -> None:
        """The same at once; what a restarted toolstack left attached is taken away. A pool that does not answer is not waited for."""
        await self._close()
        try:
            if await self._let_go(_RELEASE_SECONDS):
                return
            await release_vbds(self._connection, self._ref)
            if not await self._let_go(_RELEASE_SECONDS):
                raise self._held()
        except PoolError as error:
            log.warning("whether the disk %s is let go of is not known: %s", self._vdi, error)

    async def _close(self) -> None:
        taken, self._taken = self._taken, []
        try:
            await asyncio.gather(*(asyncio.to_thread(reader.close) for reader in self.readers))
        finally:
            SLOTS.give_back(taken)

    async def _let_go(self, most_seconds: float) -> bool:
        return await wait_until_let_go(
            self._connection,
            [self._ref],
            most_seconds=most_seconds,
            first_wait_seconds=_FIRST_WAIT_SECONDS,
            owners=self._owners,
        )

    def _held(self) -> TransferError:
        return TransferError(
            f"a control domain still holds the disk {self._vdi}, which was read over NBD",
            code="DISK_STILL_ATTACHED",
            evidence={"disk": self._vdi, "side": "source"},
            remedy="unplug and destroy the disk's VBD of the control domain on its pool",
        )


class BlockServers:
    """The NBD servers of one pool's hosts."""

    def __init__(self, connection: Connection, owners: Owners) -> None:
        self._connection = connection
        self._owners = owners
        self._hosts = NbdHosts(connection)
        self._purposes: set[str] = set()
        self._asked = -_PURPOSES_FRESH_SECONDS

    async def against(self, vdi: str) -> str:
        """Why the disk is not served, in words; "" when it is."""
        try:
            places = await self._places(await objects.ref_of(self._connection, "VDI", vdi))
        except (NoSuchObject, PoolUnreachable):
            raise
        except PoolError as error:
            # One host that is down is enough for that; exports do without it.
            return "the pool's release has no NBD" if error.code == "MESSAGE_METHOD_UNKNOWN" else str(error)
        return "" if places else NO_PURPOSE

    async def against_all(self) -> str:
        """Why no disk of the pool is served, in words; "" when its networks allow it."""
        purposes = await self._network_purposes()
        return "" if purposes & {"nbd", "insecure_nbd"} else NO_PURPOSE

    async def open(self, vdi: str, *, connections: int, urgent: bool = False) -> OpenBlocks:
        """Up to so many connections to a disk, fewer where its hosts have many already. A host that fails is not the last word.

        Raises:
            NoSuchObject. TransferError: none opens, or NBD_BUSY. PoolError, FormatError: see ``open_readers``.
        """
        ref = await objects.ref_of(self._connection, "VDI", vdi)
        for left in reversed(range(_TRIES)):
            try:
                return await self._open(vdi, ref, connections, urgent=urgent)
            except TransferError as error:
                if not left or error.code in ("NBD_BUSY", "NBD_NOT_SERVED"):
                    raise
                log.info("the disk %s is asked for once more: %s", vdi, error)
        raise AssertionError

    async def _open(self, vdi: str, ref: str, connections: int, *, urgent: bool) -> OpenBlocks:
        places = await self._places(ref)
        taken = SLOTS.take(places, connections, urgent=urgent)
        try:
            if places and not taken:
                raise TransferError(
                    "as many connections to each NBD server of the pool as may be are in use by other copies",
                    code="NBD_BUSY",
                )
            readers = await open_readers(taken, len(taken), self._connection.trust)
        except BaseException:
            SLOTS.give_back(taken)
            raise
        return OpenBlocks(self._connection, vdi, ref, readers, taken, owners=self._owners)

    async def _places(self, ref: str) -> list[NbdPlace]:
        """A fresh answer each time: the current session is in the exports' names."""
        infos, purposes = await asyncio.gather(self._connection.call("VDI.get_nbd_info", ref), self._network_purposes())
        return await self._hosts.best([nbd_place(info, secure="nbd" in purposes) for info in infos])

    async def _network_purposes(self) -> set[str]:
        if time.monotonic() - self._asked > _PURPOSES_FRESH_SECONDS:
            networks: dict[str, dict[str, Any]] = await self._connection.call("network.get_all_records")
            self._purposes = {purpose for record in networks.values() for purpose in record.get("purpose", [])}
            self._asked = time.monotonic()
        return self._purposes
