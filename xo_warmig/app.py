"""The composition root: the only place where pools, engine and API meet.

``running`` starts a whole server inside the event loop and takes it down again: for ``serve``, for the demo and for tests alike. One
process owns a state directory at a time.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from xo_warmig.api.accounts import FIRST_ADMINISTRATOR, Accounts
from xo_warmig.api.app import build_app
from xo_warmig.api.audit import Audit
from xo_warmig.api.farewell import Farewell
from xo_warmig.api.gateway.app import Gateway, build_gateway
from xo_warmig.api.gateway.upstream import upstream_of
from xo_warmig.api.pool_sessions import PoolSessions
from xo_warmig.api.ports import Orders
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.settings import MOST_FRAME_BYTES
from xo_warmig.api.vault import open_vault
from xo_warmig.config import Config
from xo_warmig.engine.durable import DurableDriver
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.hashes.files import TableFiles
from xo_warmig.engine.pacing import Pacing
from xo_warmig.engine.store.database import Database, file_of, url_in
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.errors import InvalidRequest, WarmigError
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.srs import Srs
from xo_warmig.xapi.task_orders import TaskOrders
from xo_warmig.xapi.vms import Vms

PING_SECONDS: Final = 60.0
PING_TIMEOUT_SECONDS: Final = 300.0  # a busy browser tab answers late
GRACE_SECONDS: Final = 3
BACKLOG: Final = 512
TABLES_DIRECTORY: Final = "hashes"  # of what running passes have sent
TURNS_FILE: Final = "turns.sqlite"  # beside our own database: which turns were taken


class Server:
    """A server that runs.

    ``token``: an administrator's, for clients on this machine. ``new_password``: that of the administrator who was just made, to be
    shown once.
    """

    def __init__(self, *, url: str, token: str, config: Config, engine: Engine, new_password: str | None) -> None:
        self.url = url
        self.token = token
        self.config = config
        self.engine = engine
        self.administrator = FIRST_ADMINISTRATOR
        self.new_password = new_password
        self._web: asyncio.Task[None] | None = None

    @property
    def state_dir(self) -> Path:
        return self.config.state_dir

    async def stopped(self) -> None:
        """Wait until it does not serve any more; raises what made it stop."""
        if self._web is not None:
            await asyncio.shield(self._web)


@contextlib.asynccontextmanager
async def running(config: Config) -> AsyncIterator[Server]:
    """A server that answers at ``server.url``, until the context is left.

    Raises:
        InvalidRequest: codes STATE_IN_USE, CANNOT_LISTEN, BAD_CONFIG.
        WarmigError: the state directory holds something that cannot be used.
    """
    upstream = upstream_of(config)
    make_private(config.state_dir)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(locked(config.state_dir))
        listener = stack.enter_context(listening(config))
        database = stack.enter_context(opened(config))
        vault = open_vault(config.state_dir, database)
        accounts = Accounts(database, vault)
        new_password = accounts.make_first_administrator(_given_password(config))
        directory = Directory(PoolSessions(database, vault))
        stack.push_async_callback(directory.close)
        # The next lines are also the proof that the pools of xapi fit what engine and API ask for: the type checker reads them.
        driver = DurableDriver(database.file.with_name(TURNS_FILE))
        pacing = Pacing(config.pool_rates)
        tables = TableFiles(config.state_dir / TABLES_DIRECTORY)
        engine = Engine(directory, store=DatabaseStore(database), driver=driver, pacing=pacing, tables=tables)
        stack.push_async_callback(engine.close)
        servers = ServerBook(ServerStore(database, vault), directory)
        server = Server(
            url=_url(config, listener),
            token=accounts.local_token(),
            config=config,
            engine=engine,
            new_password=new_password,
        )
        audit = Audit(database, accounts.users)
        orders = Orders(Vms(directory), Srs(directory), TaskOrders(directory))
        parts = (engine, servers, accounts, audit, directory, orders, config)
        web = build_app(*parts) if upstream is None else build_gateway(*parts, upstream)
        async with _answering(web, listener, config) as server._web:
            await servers.restore()
            await engine.open()
            yield server


def make_private(directory: Path) -> None:
    """The state directory, for this user only.

    Raises:
        InvalidRequest: code BAD_CONFIG.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise InvalidRequest(
            f"the state directory {directory} cannot be used: {error.strerror}",
            code="BAD_CONFIG",
            evidence={"key": "state_dir", "file": str(directory)},
            remedy="Give a directory of this user with --state-dir.",
        ) from error


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """The directory is this process's alone. The lock goes with the process, whatever ends it.

    Raises:
        InvalidRequest: code STATE_IN_USE.
    """
    path = directory / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            raise InvalidRequest(
                f"another server (process {owner or 'unknown'}) uses the directory {directory}",
                code="STATE_IN_USE",
                evidence={"file": str(path), "process": owner},
                remedy="Stop it, or give this one a directory of its own with --state-dir.",
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Database]:
    """The database, this process's alone also where it is not in the state directory. Raises as ``locked`` and ``Database``."""
    url = config.database_url or url_in(config.state_dir)
    directory = file_of(url).parent
    elsewhere = directory.resolve() != config.state_dir.resolve()
    with locked(directory) if elsewhere else contextlib.nullcontext():
        database = Database(url)
        try:
            yield database
        finally:
            database.close()


@contextlib.contextmanager
def listening(config: Config) -> Iterator[socket.socket]:
    """The listening socket; bound before anything else is started, so that a port in use is a clear error.

    Raises:
        InvalidRequest: code CANNOT_LISTEN.
    """
    address = "127.0.0.1" if config.address == "localhost" else config.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named, the protocol lets asyncio see that it is TCP, and turn off the delay of small packets on what is accepted.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, config.port))
        except OSError as error:
            raise InvalidRequest(
                f"cannot listen on {address} port {config.port}: {error.strerror}",
                code="CANNOT_LISTEN",
                evidence={"address": address, "port": config.port},
                remedy="Choose another with --address and --port; port 0 takes a free one.",
            ) from error
        yield listener


class _Websocket(Farewell, WebSocketsSansIOProtocol):
    """uvicorn's ``websockets-sansio`` (its plain ``websockets`` imports a deprecated layer), with our ending."""


class _Web(uvicorn.Server):
    """uvicorn without its signal handlers: who runs the server decides when it ends."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _answering(
    web: Starlette | Gateway, listener: socket.socket, config: Config
) -> AsyncIterator[asyncio.Task[None]]:
    """uvicorn at work on ``listener``; connections that do not end by themselves are cut when the context is left."""
    uvicorn_server = _Web(
        uvicorn.Config(
            web,
            ws=_Websocket,
            ws_per_message_deflate=False,  # it would compress every message on the event loop
            ws_max_size=MOST_FRAME_BYTES,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_TIMEOUT_SECONDS,
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=BACKLOG,
            proxy_headers=False,  # the API decides which proxies to believe
            server_header=False,
            date_header=config.upstream is None,  # an answer that passes has one
            access_log=False,
            log_config=None,
            loop="asyncio",
        ),
        web.state.streams.close,
    )
    serving = asyncio.create_task(uvicorn_server.serve(sockets=[listener]), name="web")
    try:
        up = asyncio.create_task(uvicorn_server.up.wait())
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if serving.done():
            serving.result()
            raise WarmigError("the web server ended at once")
        yield serving
    finally:
        uvicorn_server.should_exit = True
        await asyncio.wait({serving})


def _given_password(config: Config) -> str | None:
    """The first line of the administrator's password file.

    Raises:
        InvalidRequest: code BAD_CONFIG, it is empty.
    """
    if config.admin_password_file is None:
        return None
    lines = config.admin_password_file.read_text().splitlines()
    if not lines or not lines[0]:
        raise InvalidRequest(
            f"{config.admin_password_file} holds no password",
            code="BAD_CONFIG",
            evidence={"key": "admin_password_file", "file": str(config.admin_password_file)},
            remedy="Write the password into its first line.",
        )
    return lines[0]


def _url(config: Config, listener: socket.socket) -> str:
    """Where local clients reach it: a server on every address answers on loopback too."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if config.uses_tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
