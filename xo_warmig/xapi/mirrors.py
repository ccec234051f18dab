"""The mirrors of all connected pools, begun when somebody asks for the first time: until then they cost nothing."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias

from xo_warmig.model.servers import ServerStatus
from xo_warmig.xapi.mirror import Mirror
from xo_warmig.xapi.mirrored import Change, State
from xo_warmig.xapi.server import Server

Listener: TypeAlias = Callable[[str, list[Change]], None]
"""Called with the uuid of a pool and what changed there."""

log = logging.getLogger(__name__)


class Mirrors:
    """By configured server. For one event loop."""

    def __init__(self) -> None:
        self._wanted = False
        self._mirrors: dict[str, Mirror] = {}
        self._listeners: list[Listener] = []

    def want(self, servers: Iterable[Server]) -> None:
        """From now on every connected pool has a mirror; those that are connected already are given."""
        if self._wanted:
            return
        self._wanted = True
        for server in servers:
            if server.status is ServerStatus.CONNECTED:
                self.connected(server)

    def connected(self, server: Server) -> None:
        """A server begins to be connected, for the first time or again."""
        pool, connection = server.pool, server.connection
        if not self._wanted or pool is None or connection is None:
            return
        known = self._mirrors.get(server.credentials.id)
        if known is not None and known.pool == pool.uuid:
            return  # it goes on by itself
        self.left(server.credentials.id)  # another pool is there now
        for other in [other for other, mirror in self._mirrors.items() if mirror.pool == pool.uuid]:
            self.left(other)  # through which the pool cannot be reached
        self._mirrors[server.credentials.id] = Mirror(
            pool.uuid, connection, lambda: server.answered, lambda changes: self._tell(pool.uuid, changes)
        )

    def left(self, server: str) -> None:
        """The server with that id was disconnected on purpose, or removed: its records are gone."""
        mirror = self._mirrors.pop(server, None)
        if mirror is not None and (changes := mirror.end()):
            self._tell(mirror.pool, changes)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` of every change, on the event loop, until what is given back is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def records(self) -> dict[str, State]:
        """By uuid of the pool, once each connected one was asked; see ``Directory.records``."""
        mirrors = list(self._mirrors.values())
        await asyncio.gather(*(mirror.asked.wait() for mirror in mirrors))
        return {mirror.pool: mirror.state for mirror in self._mirrors.values()}

    async def close(self) -> None:
        """End all, without a word to anybody."""
        mirrors, self._mirrors = list(self._mirrors.values()), {}
        self._wanted = False
        for mirror in mirrors:
            mirror.end()
        await asyncio.gather(*(mirror.ended() for mirror in mirrors))

    def _tell(self, pool: str, changes: list[Change]) -> None:
        for listener in list(self._listeners):
            try:
                listener(pool, changes)
            except Exception:
                log.exception("a listener failed at the changes of %s", pool)
