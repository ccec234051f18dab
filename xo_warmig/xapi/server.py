"""One configured server: connected in the background, watched, and connected again when it was lost."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any, Final

from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.servers import ServerCredentials, ServerState, ServerStatus
from xo_warmig.xapi.clearing import clear_left_tasks
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.records import Origin
from xo_warmig.xapi.sessions import SessionBook
from xo_warmig.xapi.trust import believe_members

HEARTBEAT_SECONDS = 30.0
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0

# Trying again changes nothing, and locks accounts.
_HOPELESS: Final = frozenset(
    {
        "SESSION_AUTHENTICATION_FAILED",
        "SESSION_AUTHORIZATION_FAILED",
        "RBAC_PERMISSION_DENIED",
        "CERTIFICATE_CHANGED",
        "CERTIFICATE_UNKNOWN",
        "TLS_TOO_OLD",
        "POOL_ALREADY_CONNECTED",
    }
)

log = logging.getLogger(__name__)


class Server:
    """A server, its pool while it is known, and what became of the last try to connect."""

    def __init__(
        self,
        credentials: ServerCredentials,
        claim: Callable[["Server", str], None],
        connected: Callable[["Server"], None],
        *,
        process: str,
        sessions: SessionBook | None,
    ) -> None:
        """``claim`` is told of the pool's uuid before it counts as connected, and raises when another server has it; ``connected`` is
        called each time that it begins to.

        ``answered`` is set by the next try, or look at whether the connection holds, that succeeds; then there is a new one.
        """
        self.credentials = credentials
        self._process = process
        self._sessions = sessions
        self._cleared = False  # nothing is left of the tasks of earlier processes
        self.status = ServerStatus.DISCONNECTED
        self.error: WarmigError | None = None
        self.pool: Pool | None = None
        self.answered = asyncio.Event()
        self.known: set[str] = set()  # uuids of the VMs and SRs that this pool was seen to have
        self._claim = claim
        self._connected = connected
        self._record: dict[str, Any] = {}
        self._master: str | None = None  # uuid
        self._members: list[str] = []  # addresses
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._attempt: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._tried: float | None = None  # when the last try ended, in the loop's time; None while one is under way

    @property
    def name(self) -> str:
        """For people: the pool's, where it was ever connected."""
        return self.pool.name if self.pool is not None else self.credentials.label or self.state().host

    @property
    def connection(self) -> Connection | None:
        """For what no pool offers; None before the first try to connect."""
        return self._connection

    @property
    def tries(self) -> bool:
        """Whether it is to be connected, now or as soon as it can be."""
        return self._keeper is not None and not self._keeper.done()

    def connects_as(self, credentials: ServerCredentials) -> bool:
        """Whether it would connect in the same way with these."""
        return _connecting(self.credentials) == _connecting(credentials)

    def rename(self, credentials: ServerCredentials) -> None:
        """Take what does not concern connecting from these."""
        self.credentials = credentials
        if self._connection is not None:
            self._connection.read_only = credentials.read_only

    def start(self) -> "asyncio.Future[None]":
        """Connect and stay connected, in the background; the future tells how the next try ends."""
        loop = asyncio.get_running_loop()
        if self._attempt is None:
            self._attempt = loop.create_future()
        attempt = self._attempt
        if self._keeper is None or self._keeper.done():
            self._keeper = loop.create_task(self._keep(), name=f"server {self.credentials.id}")
        else:
            self._wake.set()
        return attempt

    async def stop(self) -> None:
        """Log out, and stay away."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        if self._connection is not None:
            await self._connection.leave(log_out=not isinstance(self.error, PoolUnreachable))
        self.status = ServerStatus.DISCONNECTED
        self._settle(PoolError("the connection was given up", code="DISCONNECTED"))

    async def close(self) -> None:
        """Log out for good."""
        await self.stop()
        if self._connection is not None:
            self._connection.close()

    def state(self) -> ServerState:
        """What may be shown of it."""
        credentials, connection = self.credentials, self._connection
        return ServerState(
            id=credentials.id,
            host=credentials.host.rpartition("@")[2],
            username=credentials.username,
            label=credentials.label,
            enabled=credentials.enabled,
            allow_unauthorized=credentials.allow_unauthorized,
            read_only=credentials.read_only,
            status=self.status,
            error=self.error.as_dict() if self.error is not None else None,
            pool_id=self._record.get("uuid"),
            pool_name_label=self._record.get("name_label"),
            pool_name_description=self._record.get("name_description"),
            master=self._master,
            members=self._members,
            fingerprint=credentials.fingerprint if connection is None else connection.fingerprint,
            pins=credentials.pins if connection is None else connection.pins,
            encryption=None if connection is None else connection.encryption,
        )

    async def _keep(self) -> None:
        """Until cancelled, or until trying again is hopeless."""
        wait_seconds = FIRST_RETRY_SECONDS
        while True:
            self._wake.clear()
            self._tried = None
            error = await self._try()
            self._tried = asyncio.get_running_loop().time()
            if error is None:
                wait_seconds = FIRST_RETRY_SECONDS
                await self._clear()
            elif error.code in _HOPELESS:
                return
            pause = HEARTBEAT_SECONDS if error is None else wait_seconds * random.uniform(0.8, 1.2)
            if error is not None:
                wait_seconds = min(wait_seconds * 2, LONGEST_RETRY_SECONDS)
                self._wake.clear()  # a loss that was told during this try is what it met
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def _try(self) -> WarmigError | None:
        """Connect, or see that the connection still holds; what went wrong."""
        if self.status is not ServerStatus.CONNECTED:
            self.status = ServerStatus.CONNECTING
        try:
            await self._connect()
        except WarmigError as error:
            if self.status is ServerStatus.CONNECTED or self.error is None:
                log.warning("server %s: %s", self.credentials.id, error)
            self.status, self.error = ServerStatus.DISCONNECTED, error
            if error.code in _HOPELESS and self._connection is not None:
                await self._connection.leave(log_out=True)  # of a session that nobody will use
            self._settle(error)
            return error
        before, self.status, self.error = self.status, ServerStatus.CONNECTED, None
        answered, self.answered = self.answered, asyncio.Event()
        answered.set()
        self._settle(None)
        if before is not ServerStatus.CONNECTED:
            log.info("server %s is connected to %s", self.credentials.id, self._record["name_label"])
            self._connected(self)
        return None

    async def _connect(self) -> None:
        if self._connection is None:
            loop = asyncio.get_running_loop()
            self._connection = Connection(
                self.credentials,
                process=self._process,
                sessions=self._sessions,
                lost=lambda: self._lost_from_thread(loop),
            )
        connection = self._connection
        await connection.open()
        record, hosts = await _identity(connection)
        self._claim(self, record["uuid"])
        self._record, self._master = record, hosts[record["master"]]["uuid"]
        self._members = [host["address"] for host in hosts.values()]
        name = record["name_label"] or hosts[record["master"]]["name_label"]
        self._record["name_label"] = name
        connection.identify(
            pool_uuid=record["uuid"],
            pool_name=name,
            master=record["master"],
            members=self._members,
        )
        if self.pool is None or self.pool.uuid != record["uuid"]:
            master = hosts[record["master"]]
            version = (int(master["API_version_major"]), int(master["API_version_minor"]))
            self.pool = Pool(connection, Origin(record["uuid"], name, version))
        if self.status is not ServerStatus.CONNECTED:
            await _pin_hosts(connection, hosts)
            await connection.end_older_sessions()
            self.known |= await _inventory(connection)

    async def _clear(self) -> None:
        """Beside everything else: whoever waits for the pool, perhaps in a downtime, does not wait for this."""
        if not self._cleared and self._connection is not None:
            self._cleared = await clear_left_tasks(self._connection)

    def _lost_from_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._lost)

    def _lost(self) -> None:
        """A call met no answer, or not in our session: look at once whether the pool is still there, or there again."""
        if self.status is ServerStatus.CONNECTED:
            self._wake.set()
        else:
            self.hurry()

    def hurry(self) -> None:
        """Somebody waits for the pool: the next try comes no later than if there had been one failure only."""
        if self._tried is not None and asyncio.get_running_loop().time() - self._tried >= FIRST_RETRY_SECONDS:
            self._wake.set()

    def _settle(self, error: WarmigError | None) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None or attempt.done():
            return
        if error is None:
            attempt.set_result(None)
        else:
            attempt.set_exception(error)
            attempt.exception()  # nobody has to ask


def _connecting(credentials: ServerCredentials) -> tuple[object, ...]:
    return credentials.host, credentials.username, credentials.password, credentials.allow_unauthorized


async def _identity(connection: Connection) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The pool's record, and those of its hosts."""
    pools, hosts = await asyncio.gather(
        connection.call("pool.get_all_records"), connection.call("host.get_all_records")
    )
    return dict(next(iter(pools.values()))), hosts


async def _inventory(connection: Connection) -> set[str]:
    """The uuids of all VMs and SRs, so that a question for one of them can be answered when the pool is away."""
    classes = await asyncio.gather(connection.call("VM.get_all_records"), connection.call("SR.get_all_records"))
    return {record["uuid"] for records in classes for record in records.values()}


async def _pin_hosts(connection: Connection, hosts: dict[str, dict[str, Any]]) -> None:
    """The master, which is believed, knows its members' certificates (since 8.2)."""
    if not connection.address.secure:
        return
    try:
        certificates = await connection.call("Certificate.get_all_records")
    except PoolError as error:
        log.debug("the certificates of the hosts of %s are not known: %s", connection.pool_name, error)
        return
    members = [
        (hosts[record["host"]]["address"], record.get("fingerprint_sha256") or record["fingerprint"])
        for record in certificates.values()
        if record["host"] in hosts and record.get("type", "host") == "host"
    ]
    believe_members(connection.trust, connection.address.port, members)
