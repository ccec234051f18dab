"""Disks of a pool open for reading by blocks, over NBD: from the question where they are served to the control domain's letting go."""

import asyncio
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xo_warmig.disks.nbd_reader import NbdReader
from xo_warmig.errors import PoolError, TransferError
from xo_warmig.xapi import objects
from xo_warmig.xapi.attachments import release_vbds, wait_until_let_go
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.nbd_connections import open_readers
from xo_warmig.xapi.nbd_opening import NbdPlace, nbd_place

# A host takes 16 connections and drops the rest without a word; backups want some, too.
MOST_PER_HOST = 8
_PURPOSES_FRESH_SECONDS = 60.0
_FIRST_WAIT_SECONDS = 0.01  # the end of a read may be inside the downtime
_RELEASE_SECONDS = 60.0

log = logging.getLogger(__name__)


class Slots:
    """How many connections this process has to each host. Thread-safe."""

    def __init__(self, most_per_host: int = MOST_PER_HOST) -> None:
        self._lock = threading.Lock()
        self._most = most_per_host
        self._used: Counter[str] = Counter()

    def take(self, places: Sequence[NbdPlace], count: int) -> list[NbdPlace]:
        """Up to so many, over all the places in turn; none when every host has as many as it may."""
        taken: list[NbdPlace] = []
        with self._lock:
            for place in itertools.islice(itertools.cycle(places), count * len(places)):
                if len(taken) < count and self._used[place.host] < self._most:
                    self._used[place.host] += 1
                    taken.append(place)
        return taken

    def give_back(self, taken: Sequence[NbdPlace]) -> None:
        with self._lock:
            self._used.subtract(place.host for place in taken)


SLOTS = Slots()


class OpenBlocks:
    """A disk that some connections read. Fits ``replication.ports.Blocks``."""

    def __init__(
        self, connection: Connection, vdi: str, ref: str, readers: list[NbdReader], taken: list[NbdPlace]
    ) -> None:
        self.readers = readers
        self._connection = connection
        self._vdi = vdi
        self._ref = ref
        self._taken = taken

    async def finish(self) -> None:
        """Close, and see the disk free. Raises TransferError: a control domain still holds it."""
        await self._close()
        if not await self._let_go():
            raise self._held()

    async def abort(self) -> None:
        """The same at once; what a restarted toolstack left attached is taken away. A pool that does not answer is not waited for."""
        await self._close()
        try:
            if await self._let_go():
                return
            await release_vbds(self._connection, self._ref)
            if not await self._let_go():
                raise self._held()
        except PoolError as error:
            log.warning("whether the disk %s is let go of is not known: %s", self._vdi, error)

    async def _close(self) -> None:
        taken, self._taken = self._taken, []
        try:
            await asyncio.gather(*(asyncio.to_thread(reader.close) for reader in self.readers))
        finally:
            SLOTS.give_back(taken)

    async def _let_go(self) -> bool:
        return await wait_until_let_go(
            self._connection, [self._ref], most_seconds=_RELEASE_SECONDS, first_wait_seconds=_FIRST_WAIT_SECONDS
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

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._purposes: set[str] = set()
        self._asked = -_PURPOSES_FRESH_SECONDS

    async def against(self, vdi: str) -> str:
        """Why the disk is not served, in words; "" when it is."""
        try:
            places = await self._places(await objects.ref_of(self._connection, "VDI", vdi))
        except PoolError as error:
            if error.code in ("MESSAGE_METHOD_UNKNOWN", "MESSAGE_PARAMETER_COUNT_MISMATCH"):
                return "the pool's release has no NBD"
            raise
        return "" if places else "no network of the pool has the purpose nbd or insecure_nbd"

    async def open(self, vdi: str, *, connections: int) -> OpenBlocks:
        """Up to so many connections to a disk, fewer where its hosts have many already.

        Raises:
            NoSuchObject. TransferError: none opens, or NBD_BUSY. PoolError, FormatError: see ``open_readers``.
        """
        ref = await objects.ref_of(self._connection, "VDI", vdi)
        places = await self._places(ref)
        taken = SLOTS.take(places, connections)
        try:
            if places and not taken:
                raise TransferError(
                    f"{MOST_PER_HOST} connections to each NBD server of the pool are in use by other copies",
                    code="NBD_BUSY",
                )
            readers = await open_readers(taken, len(taken), self._connection.trust)
        except BaseException:
            SLOTS.give_back(taken)
            raise
        return OpenBlocks(self._connection, vdi, ref, readers, taken)

    async def _places(self, ref: str) -> list[NbdPlace]:
        """A fresh answer each time: the current session is in the exports' names."""
        infos, purposes = await asyncio.gather(self._connection.call("VDI.get_nbd_info", ref), self._network_purposes())
        return [nbd_place(info, secure="nbd" in purposes) for info in infos]

    async def _network_purposes(self) -> set[str]:
        if time.monotonic() - self._asked > _PURPOSES_FRESH_SECONDS:
            networks: dict[str, dict[str, Any]] = await self._connection.call("network.get_all_records")
            self._purposes = {purpose for record in networks.values() for purpose in record.get("purpose", [])}
            self._asked = time.monotonic()
        return self._purposes
