"""A pool's master, logged in: calls from any number of tasks at once, each on a connection of its own, all in one session."""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import XenAPI

from xo_warmig import __version__
from xo_warmig.errors import ForbiddenOperation, PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.encryption import NOT_ENCRYPTED, Encryption
from xo_warmig.model.servers import ServerCredentials
from xo_warmig.xapi import failures
from xo_warmig.xapi.address import Address, parse_host
from xo_warmig.xapi.lending import Lending
from xo_warmig.xapi.rpc import RpcSession
from xo_warmig.xapi.sessions import NoSessionBook, SessionBook
from xo_warmig.xapi.trust import Trust, place_of

MOST_CALLS_AT_ONCE = 16
_MOST_DISPENSABLE = 2
_MOST_REDIRECTIONS = 3
_MOST_TRIES = 3  # of a read: a master that goes breaks a connection first, and is a slave after that
_LOG_OUT_SECONDS = 2.0
_SESSION_IS_GONE = (failures.SESSION_INVALID, "HOST_IS_SLAVE")

log = logging.getLogger(__name__)


class Calls(Protocol):
    """Something that XAPI calls can be made through. Integers are sent as text, as XAPI wants them."""

    async def call(self, method: str, *arguments: Any) -> Any:
        """Raises PoolError with XAPI's code, PoolUnreachable, or ForbiddenOperation on a server that is connected read-only."""
        ...


class Connection:
    """One configured server's session. Methods that may change something are never sent twice and never log in again (R16)."""

    def __init__(
        self,
        credentials: ServerCredentials,
        *,
        process: str = "",
        sessions: SessionBook | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        """``process``: a random id that all connections of a process share. ``lost`` is called, from any thread, whenever the pool
        did not answer a call, or had forgotten the session.
        """
        self.server_id = credentials.id
        self.process = process or secrets.token_hex(8)
        parsed = parse_host(credentials.host)
        self.address = parsed.address
        self.trust = Trust(allow_unauthorized=credentials.allow_unauthorized, pins=credentials.pins)
        if credentials.fingerprint:
            self.trust.pin(self.address.host, self.address.port, credentials.fingerprint)
        self.pool_uuid: str | None = None
        self.pool_name = credentials.label or self.address.host
        self.read_only = credentials.read_only
        self._configured = parsed.address
        self._members: list[str] = []
        self._master = ""
        self._username = parsed.username or credentials.username
        self._password = parsed.password or credentials.password
        self._originator = f"xo_warmig/{__version__}/{self.process}"
        self._sessions: SessionBook = sessions if sessions is not None else NoSessionBook()
        self._lost = lost
        self._session = ""
        self._log_in_lock = threading.Lock()
        # None is closed after a burst of calls: in a downtime one follows the other, and a handshake costs more than a call.
        self._lending = Lending(self.trust, origin=self.origin, most_idle=MOST_CALLS_AT_ONCE)
        self._executor = ThreadPoolExecutor(MOST_CALLS_AT_ONCE, thread_name_prefix="xapi")
        # Beside them, so that no call ever waits for the one that waits for news. There is no thread before the first of these.
        self._waiting = Lending(self.trust, origin=self.origin, most_idle=1)
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="xapi-wait")
        self._dispensable = ThreadPoolExecutor(_MOST_DISPENSABLE, thread_name_prefix="xapi-beside")

    @property
    def session(self) -> str:
        """The reference of the session, for the URLs of disk transfers."""
        return self._session

    @property
    def origin(self) -> str:
        """By whom this process is known on the pool: the configured server, and the process."""
        return f"{self.server_id}/{self.process}"

    @property
    def hosts(self) -> frozenset[str]:
        """Names and addresses: the configured one, and those of the pool's members."""
        return frozenset((self._configured.host, self.address.host, *self._members))

    @property
    def fingerprint(self) -> str | None:
        """That of the pinned certificate of the address that was configured."""
        return self.trust.pinned(self._configured.host, self._configured.port)

    @property
    def pins(self) -> dict[str, str]:
        """Those of the pool's other hosts, by ``host:port``."""
        configured = place_of(self._configured.host, self._configured.port)
        return {place: pin for place, pin in self.trust.pins.items() if place != configured}

    @property
    def encryption(self) -> Encryption | None:
        """Of the way to the master; None until it was negotiated."""
        return self.trust.encryption(self.address.host, self.address.port) if self.address.secure else NOT_ENCRYPTED

    def identify(self, *, pool_uuid: str, pool_name: str, master: str, members: list[str]) -> None:
        """What the pool said of itself: for the texts of errors, and where else to ask when the master is gone.

        ``master``: reference of the host. ``members``: addresses of all hosts.
        """
        self._master = master
        self.pool_uuid = pool_uuid
        self.pool_name = pool_name or self.address.host
        self._members = members

    def address_of(self, host: dict[str, Any]) -> Address:
        """Where a host, given as its record with ``ref``, serves disks: the master where it is known to answer."""
        return self.address if host["ref"] == self._master else self.address.on(host["address"])

    async def open(self) -> None:
        """Log in, at the master, wherever it is now; a session that still holds is kept."""
        await self.in_thread(self._open)

    async def call(self, method: str, *arguments: Any) -> Any:
        """One call, off the event loop. See ``Calls``."""
        return await self.in_thread(self.call_now, method, *arguments)

    def call_now(self, method: str, *arguments: Any) -> Any:
        """The same, in the calling thread: blocks."""
        reads = is_read(method)
        if self.read_only and not reads:
            raise ForbiddenOperation(
                f"{self.pool_name} is connected read-only",
                evidence={"operation": method, "reason": "read-only", "objectId": self.pool_uuid},
                remedy="allow changes for this server",
            )
        if self._lending.is_shut:
            raise self._unreachable("it was disconnected")
        for _ in range(_MOST_TRIES - 1 if reads else 0):
            session = self._session
            try:
                return self._once(self.address, session, method, arguments)
            except PoolError as error:
                if not self._recovered(error, session):
                    raise
        try:
            return self._once(self.address, self._session, method, arguments)
        except PoolError as error:
            if error.code in _SESSION_IS_GONE:
                self._lost()  # whoever tries again finds a new session
            raise

    async def wait(self, method: str, *arguments: Any) -> Any:
        """A read that the pool answers when it has news (``event.from``): on a thread and a connection of its own, one at a time.

        It ends at once when the pool is left or the session is replaced. It is never sent again, and nobody logs in for it: whoever
        keeps the connection is told of what it met. Raises as ``Calls`` says.
        """
        return await asyncio.get_running_loop().run_in_executor(self._waiter, self._wait, method, arguments)

    async def end_older_sessions(self) -> None:
        """Log out what earlier processes left: nothing may be changed through them any more (R16).

        Raises PoolError: one is still there.
        """
        await self.in_thread(self._end_older_sessions)

    async def leave(self, *, log_out: bool) -> None:
        """Refuse all calls until it is opened again; those that wait for their answer fail."""
        if log_out:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.in_thread(self._log_out), _LOG_OUT_SECONDS)
        self._lending.shut()
        self._waiting.shut()

    def close(self) -> None:
        """After it was left: no use is possible any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._waiter.shutdown(wait=False, cancel_futures=True)
        self._dispensable.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run blocking work of this pool off the event loop, beside its calls."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    async def beside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The same on a few threads of their own: for what may hang at a host, and which no call has to wait for."""
        return await asyncio.get_running_loop().run_in_executor(self._dispensable, work, *arguments)

    def _once(self, address: Address, session: str, method: str, arguments: tuple[Any, ...]) -> Any:
        return self._with_rpc(address, method, lambda rpc: rpc.call(session, method, arguments))

    def _wait(self, method: str, arguments: tuple[Any, ...]) -> Any:
        session = self._session
        try:
            return self._with_rpc(
                self.address, method, lambda rpc: rpc.call(session, method, arguments), lending=self._waiting
            )
        except PoolError as error:
            if error.code in _SESSION_IS_GONE:
                self._lost()
            raise

    def _with_rpc(
        self,
        address: Address,
        method: str,
        work: Callable[[RpcSession], Any],
        *,
        lending: Lending | None = None,
    ) -> Any:
        """Lend a connection of its own to ``work``; one that the network broke is not used again."""
        lending = lending or self._lending
        rpc = lending.take(address)
        reusable = False
        try:
            answer = work(rpc)
            reusable = True
            return answer
        except Exception as error:
            reusable = isinstance(error, XenAPI.Failure)
            translated = self._translate(error, method, address)
            if translated is None:
                raise
            raise translated from error
        finally:
            lending.give_back(address, rpc, reusable=reusable)

    def _translate(self, error: Exception, method: str, address: Address) -> WarmigError | None:
        translated = failures.from_exception(
            error, call=method, pool=self.pool_name, host=address.host, pool_uuid=self.pool_uuid
        )
        if isinstance(translated, PoolUnreachable):
            self._lost()
        return translated

    def _recovered(self, error: PoolError, session: str) -> bool:
        """Whether asking again makes sense now: for reads, which may be asked twice."""
        if error.code in _SESSION_IS_GONE:
            with self._log_in_lock:
                if self._session == session:  # else another thread was first
                    self._log_in_somewhere()
            return True
        return isinstance(error.__cause__, ConnectionResetError | BrokenPipeError)

    def _open(self) -> None:
        with self._log_in_lock:
            self._lending.open()
            self._waiting.open()
            if self._session:
                try:
                    self._once(self.address, self._session, "session.get_uuid", (self._session,))
                except PoolError as error:
                    log.debug("the session of %s does not hold: %s", self.pool_name, error)
                else:
                    return
            self._log_in_somewhere()

    def _log_in_somewhere(self) -> None:
        """Log in where it worked last, where it was configured, or at any member, which then names the master."""
        candidates = [self.address, self._configured, *(self._configured.on(member) for member in self._members)]
        failure: PoolUnreachable | None = None
        for candidate in dict.fromkeys(candidates):
            try:
                self._log_in(candidate)
            except PoolUnreachable as error:
                failure = failure or error
            else:
                return
        if failure is not None:
            raise failure

    def _end_older_sessions(self) -> None:
        for session in self._sessions.older(self.server_id):
            if session != self._session:
                self._end(session)

    def _end(self, session: str) -> None:
        """Log a session out, and have it remembered as closed."""
        self._with_rpc(self.address, "session.logout", lambda rpc: rpc.log_out(session))
        self._sessions.closed(self.server_id, session)

    def _log_in(self, address: Address) -> None:
        for _ in range(_MOST_REDIRECTIONS):
            try:
                session = self._with_rpc(
                    address,
                    "session.login_with_password",
                    lambda rpc: rpc.log_in(self._username, self._password, self._originator),
                )
            except PoolError as error:
                if error.code != "HOST_IS_SLAVE" or not failures.parameters_of(error):
                    raise
                address = address.on(failures.parameters_of(error)[0])
            else:
                self._begin(address, session)
                return
        raise self._unreachable("its hosts name each other as master")

    def _begin(self, address: Address, session: str) -> None:
        """Work with a new session, once it is remembered; one before it is ended, where the pool still has it."""
        try:
            self._sessions.opened(self.server_id, session)
        except BaseException:
            with contextlib.suppress(PoolError):
                self._with_rpc(address, "session.logout", lambda rpc: rpc.log_out(session))
            raise
        moved, self.address = address != self.address, address
        before, self._session = self._session, session
        if moved:
            self._master = ""  # until the pool has said anew who is who
            self._lost()
        if before:
            self._waiting.interrupt()  # at a host that may be gone without a word
            try:
                self._end(before)
            except PoolError as error:
                log.info("a session of %s may still be open: %s", self.pool_name, error)

    def _unreachable(self, why: str) -> PoolUnreachable:
        return failures.unreachable(pool=self.pool_name, host=self.address.host, pool_uuid=self.pool_uuid, why=why)

    def _log_out(self) -> None:
        with self._log_in_lock:  # one that is under way is ended too
            session, self._session = self._session, ""
            if session:
                self._end(session)


def is_read(method: str) -> bool:
    """Whether a call changes nothing, so that it may be sent again."""
    name = method.rpartition(".")[2]
    return name.startswith(("get_", "assert_", "list_", "compute_")) or method in ("event.from", "system.listMethods")
