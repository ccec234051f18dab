"""All configured servers: who is connected, and which pool has a VM or a storage repository."""

import asyncio
import secrets
from collections.abc import Callable, Iterable

from xo_warmig.errors import InvalidRequest, NoSuchObject, PoolError, PoolUnreachable
from xo_warmig.model.servers import ServerCredentials, ServerState, ServerStatus
from xo_warmig.xapi import failures, objects
from xo_warmig.xapi.address import parse_host
from xo_warmig.xapi.mirrored import State
from xo_warmig.xapi.mirrors import Listener, Mirrors
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.server import Server
from xo_warmig.xapi.sessions import SessionBook


class Directory:
    """The pools that can be reached, by the servers that were configured. Fits ``replication.ports.Pools``.

    For one event loop and one to a process; ``close`` it in the end.
    """

    def __init__(self, sessions: SessionBook | None = None) -> None:
        """``sessions`` is told of every session, and names those that earlier processes left."""
        self._servers: dict[str, Server] = {}
        self._sessions = sessions
        self._process = secrets.token_hex(8)
        self._news = asyncio.Event()
        self._mirrors = Mirrors()

    async def add(self, server: ServerCredentials) -> None:
        """Register it, and connect in the background unless it is not enabled.

        Raises:
            InvalidRequest: its id is taken, or its host cannot be understood.
        """
        parse_host(server.host)
        if server.id in self._servers:
            raise InvalidRequest(f"there is a server {server.id} already", evidence={"id": server.id})
        self._servers[server.id] = self._made(server)
        if server.enabled:
            self._servers[server.id].start()

    async def change(self, server: ServerCredentials) -> None:
        """Put these credentials in the place of those with the same id. One that is not connected but tried to be tries with these.

        Raises:
            NoSuchObject, InvalidRequest: its host cannot be understood. PoolError: SERVER_CONNECTED, it would have to connect anew.
        """
        known = self._server(server.id)
        if known.connects_as(server):
            known.rename(server)
            return
        parse_host(server.host)
        if known.status is not ServerStatus.DISCONNECTED:
            raise PoolError(
                f"the server {server.id} is {known.status}: its address and account cannot be changed now",
                code="SERVER_CONNECTED",
                evidence={"server": server.id, "status": str(known.status)},
                remedy="disable the server first",
            )
        tries = known.tries
        await known.close()
        self._mirrors.left(server.id)
        self._servers[server.id] = self._made(server)
        if tries:
            self._servers[server.id].start()

    async def remove(self, server_id: str) -> None:
        """Disconnect and forget it. Raises NoSuchObject."""
        await self._server(server_id).close()
        self._mirrors.left(server_id)
        del self._servers[server_id]

    def states(self) -> list[ServerState]:
        """All servers, in the order in which they were added."""
        return [server.state() for server in self._servers.values()]

    def state(self, server_id: str) -> ServerState:
        """Raises NoSuchObject."""
        return self._server(server_id).state()

    async def connect(self, server_id: str) -> None:
        """Connect now, and stay connected from then on; returns when it is.

        Raises:
            NoSuchObject, PoolUnreachable, or PoolError: the log-in failed, the certificate is not believed, another server has the
            pool already.
        """
        await asyncio.shield(self._server(server_id).start())

    async def disconnect(self, server_id: str) -> None:
        """Log out, and stay away until told otherwise. Raises NoSuchObject."""
        await self._server(server_id).stop()
        self._mirrors.left(server_id)

    async def pool_of_vm(self, vm: str) -> Pool:
        """Raises NoSuchObject, or PoolUnreachable when the pool that had it is down."""
        return await self._pool_of("VM", vm)

    async def pool_of_sr(self, sr: str) -> Pool:
        """Raises NoSuchObject, or PoolUnreachable when the pool that had it is down."""
        return await self._pool_of("SR", sr)

    async def pool_of_task(self, task: str) -> Pool:
        """Raises NoSuchObject: no pool that answers has it."""
        return await self._pool_of("task", task)

    async def connected(self) -> tuple[list[Pool], list[str]]:
        """The pools that answer, and the names of configured ones that do not."""
        pools, silent = [], []
        servers = list(self._servers.values())
        for server, answers in zip(servers, await asyncio.gather(*map(_answers, servers)), strict=True):
            if answers and server.pool is not None:
                pools.append(server.pool)
            else:
                silent.append(server.name)
        return pools, silent

    async def pool(self, uuid: str) -> Pool:
        """A pool by its uuid. Raises PoolUnreachable while no configured server is connected to it."""
        for server in self._servers.values():
            if server.pool is not None and server.pool.uuid == uuid:
                if server.status is ServerStatus.CONNECTED:
                    return server.pool
                server.hurry()
                why = server.error.message if server.error is not None else "it is not connected"
                raise failures.unreachable(pool=server.pool.name, host=server.name, pool_uuid=uuid, why=why)
        connecting = ", ".join(server.name for server in self._servers.values() if server.pool is None)
        raise PoolUnreachable(
            f"no configured server is connected to the pool {uuid}",
            evidence={"objectId": uuid, "notConnected": connecting},
            remedy="add the server of that pool, or see why it does not connect",
        )

    def news(self) -> asyncio.Event:
        """Set as soon as a pool is connected after this call."""
        return self._news

    async def records(self) -> dict[str, State]:
        """``{uuid of the pool: {class: {reference: record}}}`` of all pools, each read by the time this returns if it answers.

        Only to be read, and on the event loop: it is what the changes told so far have led to, and goes on to change with them. From
        the first call on, or the first ``subscribe``, the records of all pools are kept; those of a pool that is away stay.
        """
        self._mirrors.want(self._servers.values())
        return await self._mirrors.records()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` on the event loop with a pool's uuid and what changed there, until what this returns is called.

        Each change is in ``records`` before it is told. A pool that is read for the first time tells of all of its records; one that is
        disconnected on purpose, that all are gone.
        """
        self._mirrors.want(self._servers.values())
        return self._mirrors.subscribe(listener)

    async def close(self) -> None:
        """Disconnect everything."""
        await self._mirrors.close()
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def _pool_of(self, cls: str, uuid: str) -> Pool:
        asked = [server for server in self._servers.values() if server.status is ServerStatus.CONNECTED]
        answers = await asyncio.gather(*(_has(server, cls, uuid) for server in asked))
        for server, has in zip(asked, answers, strict=True):
            if has and server.pool is not None:
                if cls != "task":  # these go by themselves
                    server.known.add(uuid)
                return server.pool
        silent = [server for server, has in zip(asked, answers, strict=True) if has is None]
        away = silent + [server for server in self._servers.values() if server not in asked]
        raise _nobody_has(cls, uuid, away)

    def _made(self, server: ServerCredentials) -> Server:
        return Server(server, self._claim, self._connected, process=self._process, sessions=self._sessions)

    def _server(self, server_id: str) -> Server:
        try:
            return self._servers[server_id]
        except KeyError:
            raise NoSuchObject(f"no such server: {server_id}", evidence={"id": server_id, "type": "server"}) from None

    def _connected(self, server: Server) -> None:
        self._mirrors.connected(server)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _claim(self, claimant: Server, pool: str) -> None:
        """Two servers for one pool would be two sets of sessions that know nothing of each other."""
        for server in self._servers.values():
            holds = server.status is ServerStatus.CONNECTED and server.pool is not None and server.pool.uuid == pool
            if server is not claimant and holds:
                raise PoolError(
                    f"this pool is connected already, as {server.state().host}",
                    code="POOL_ALREADY_CONNECTED",
                    evidence={"server": server.credentials.id, "objectId": pool},
                    remedy="remove one of the two servers",
                )


async def _answers(server: Server) -> bool:
    if server.status is not ServerStatus.CONNECTED or server.pool is None:
        return False
    try:
        await server.pool.calls.call("pool.get_all")
    except PoolError:
        return False
    return True


async def _has(server: Server, cls: str, uuid: str) -> bool | None:
    """Whether its pool has the object; None when it does not answer."""
    if server.pool is None:
        return False
    try:
        return await objects.ref_or_none(server.pool.calls, cls, uuid) is not None
    except PoolUnreachable:
        return None


def _nobody_has(cls: str, uuid: str, away: Iterable[Server]) -> PoolError | NoSuchObject:
    """The pool that had it is away; or nobody ever had it, as far as is known."""
    hosts = []
    for server in away:
        host = server.credentials.host.rpartition("@")[2]
        if uuid in server.known and server.pool is not None:
            why = server.error.message if server.error is not None else "it is not connected"
            return failures.unreachable(pool=server.pool.name, host=host, pool_uuid=server.pool.uuid, why=why)
        hosts.append(host)
    error = failures.no_such_object(cls, uuid)
    if hosts:
        error.evidence["notConnected"] = hosts
        error.remedy = f"if it is on a pool that is not connected ({', '.join(hosts)}), connect that first"
    return error
