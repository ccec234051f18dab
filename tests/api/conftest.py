"""A server with a fake engine and fake pools on a free port, and a client as strict as the JavaScript ones."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import uvicorn
from msgspec import UNSET, UnsetType
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.sync.client import ClientConnection, connect

from xo_warmig.api.accounts import FIRST_ADMINISTRATOR, Accounts
from xo_warmig.api.app import build_app
from xo_warmig.api.audit import Audit
from xo_warmig.api.farewell import Farewell
from xo_warmig.api.ports import Change, Orders
from xo_warmig.api.rest.streaming import Streams
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.settings import ApiSettings
from xo_warmig.api.users import hash_password
from xo_warmig.api.vault import open_vault
from xo_warmig.engine.store.database import FILE_NAME, Database, url_in
from xo_warmig.errors import IncorrectState, InvalidRequest, NoSuchObject, PoolError, PoolUnreachable
from xo_warmig.model.encryption import Encryption
from xo_warmig.model.events import Event, PhaseChanged, RecordedEvent
from xo_warmig.model.findings import Finding, OurObject, PlanReport, Severity, SweepReport, SweptObject
from xo_warmig.model.phases import STAGES, Phase, WaitingFor, can_cancel, is_end
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.servers import ServerCredentials, ServerState, ServerStatus
from xo_warmig.model.vm import VmChanges

PASSWORD = "correct horse"
FIRST_ID = -9007199254740991


class Started(NamedTuple):
    id: str
    joined: bool


class Notice(NamedTuple):
    report: MigrationReport
    event: Event | None


class FakeEngine:
    """Migrations that go on when the test says so. ``refuse`` maps a VM to the error that its start raises.

    ``steered`` has what was asked for, in order; while ``may_act`` is not set, that takes effect later.
    """

    def __init__(self) -> None:
        self.refuse: dict[str, Exception] = {}
        self.users: list[str] = []
        self.waiting = 0  # for the end of a migration
        self.steered: list[tuple[str, dict[str, Any]]] = []
        self.may_act = asyncio.Event()
        self.may_act.set()
        self._reports: dict[str, MigrationReport] = {}
        self._ends: dict[str, asyncio.Future[str]] = {}
        self._watchers: set[asyncio.Queue[Notice]] = set()

    async def start(self, request: WarmMigrationRequest, *, user: str) -> Started:
        if error := self.refuse.get(request.vm):
            raise error
        id = f"migration-{len(self._reports)}"
        self.users.append(user)
        self._reports[id] = new_report(id, request, user)
        self._ends[id] = asyncio.get_running_loop().create_future()
        self.move(id, phase=Phase.COPYING)
        return Started(id, False)

    async def outcome(self, migration: str) -> str:
        self.report(migration)
        self.waiting += 1
        try:
            return await asyncio.shield(self._ends[migration])
        finally:
            self.waiting -= 1

    def report(self, migration: str) -> MigrationReport:
        if migration not in self._reports:
            raise NoSuchObject(f"no migration {migration}", evidence={"id": migration, "type": "migration"})
        return self._reports[migration]

    def reports(self) -> list[MigrationReport]:
        return list(self._reports.values())

    def events(self, migration: str) -> list[RecordedEvent]:
        self.report(migration)
        return [RecordedEvent(migration=migration, number=1, time=1.5, event=PhaseChanged(phase=Phase.COPYING))]

    async def cancel(self, migration: str, *, drop: bool | None = None) -> None:
        await self._steer("cancel", migration, can_cancel, drop=drop)
        self.move(migration, phase=Phase.CANCELLED)

    async def cutover(self, migration: str) -> None:
        await self._steer("cutover", migration, lambda phase: phase is Phase.HOLDING)
        self.move(migration, phase=Phase.STOPPING)

    async def pause(self, migration: str) -> None:
        await self._steer("pause", migration, can_cancel)
        self.move(migration, phase=self.report(migration).phase, paused=True)

    async def resume(self, migration: str) -> None:
        await self._steer("resume", migration, can_cancel)
        self.move(migration, phase=self.report(migration).phase, paused=False)

    async def rollback(self, migration: str, *, discard_target_changes: bool) -> None:
        discard = discard_target_changes
        await self._steer("rollback", migration, lambda phase: phase is Phase.AWAITING_COMMIT, discard=discard)
        if not discard:
            evidence = {"object": migration, "property": "phase", "actual": "awaiting_commit", "expected": ["syncing"]}
            raise IncorrectState("the target wrote since its start", code="TARGET_HAS_CHANGES", evidence=evidence)
        self.move(migration, phase=Phase.FAILED)

    async def commit(self, migration: str) -> None:
        await self._steer("commit", migration, lambda phase: phase is Phase.AWAITING_COMMIT)
        self.move(migration, phase=Phase.DONE)

    async def forget_task(self, migration: str) -> None:
        await self._steer("forget_task", migration, is_end)
        self.move(migration, phase=self.report(migration).phase, task_forgotten=True)

    async def _steer(self, word: str, migration: str, fits: Callable[[Phase], bool], **details: Any) -> None:
        phase = self.report(migration).phase
        if not fits(phase):
            expected = [str(one) for one in Phase if fits(one)]
            evidence = {"object": migration, "property": "phase", "actual": str(phase), "expected": expected}
            raise IncorrectState(f"the migration is {phase}: no {word}", code="WRONG_PHASE", evidence=evidence)
        self.steered.append((word, details))
        await self.may_act.wait()

    async def plan(self, request: WarmMigrationRequest) -> PlanReport:
        if error := self.refuse.get(request.vm):
            raise error
        full = Finding(code="NO_SPACE", severity=Severity.ERROR, object=request.sr, message="it is full")
        return PlanReport(
            vm=request.vm,
            vm_name="web",
            source_pool="pool-1",
            source_pool_name="intel",
            target_pool="pool-2",
            target_pool_name="amd",
            sr=request.sr,
            possible=False,
            disks=[],
            vifs=[],
            findings=[full],
            first_pass_bytes=None,
        )

    async def sweep(self, *, remove: bool) -> SweepReport:
        left = OurObject(
            pool="pool-2",
            pool_name="amd",
            kind="vdi",
            uuid="vdi-1",
            name_label="root",
            migration="gone",
            role="target",
            size_bytes=5,
        )
        return SweepReport(objects=[SweptObject(object=left, removed=remove)], not_asked=["intel"])

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Notice]]:
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._watchers.add(queue)

        async def notices() -> AsyncIterator[Notice]:
            while True:
                yield await queue.get()

        try:
            yield notices()
        finally:
            self._watchers.discard(queue)

    def move(self, id: str, *, phase: Phase, progress: float = 0.0, event: bool = True, **changes: Any) -> None:
        changes |= {"phase": phase, "stage": STAGES[phase], "progress": progress}
        self._reports[id] = report = msgspec.structs.replace(self._reports[id], **changes)
        for queue in self._watchers:
            queue.put_nowait(Notice(report, PhaseChanged(phase=phase) if event else None))

    def finish(self, id: str, target: str) -> None:
        self.move(id, phase=Phase.DONE, progress=1.0, target_vm=target, finished=2.0)
        self._ends[id].set_result(target)

    def fail(self, id: str, error: Exception) -> None:
        self.move(id, phase=Phase.FAILED, finished=2.0, error={"message": str(error)})
        self._ends[id].set_exception(error)
        self._ends[id].exception()  # nobody has to ask


def new_report(id: str, request: WarmMigrationRequest, user: str) -> MigrationReport:
    return MigrationReport(
        id=id,
        vm=request.vm,
        vm_name="web",
        source_pool="pool-1",
        source_pool_name="intel",
        target_pool="pool-2",
        target_pool_name="amd",
        sr=request.sr,
        target_vm=None,
        request=request,
        user=user,
        phase=Phase.PLANNED,
        stage=STAGES[Phase.PLANNED],
        waiting_for=WaitingFor.NOTHING,
        progress=0.0,
        created=1.0,
        finished=None,
        current_pass=None,
        passes=[],
        predicted_downtime_seconds=None,
        downtime=None,
        warnings=[],
        error=None,
    )


class FakeServers:
    """A directory of pools that connects by word; the address ``down`` does not answer."""

    def __init__(self) -> None:
        self._states: dict[str, ServerState] = {}
        self.credentials: dict[str, ServerCredentials] = {}

    def clear(self) -> None:
        """As after a restart."""
        self._states.clear()

    async def add(self, server: ServerCredentials) -> None:
        if server.host.startswith("ftp:"):
            raise InvalidRequest(f"{server.host} is not the address of a server")
        self.credentials[server.id] = server
        self._states[server.id] = ServerState(
            id=server.id,
            host=server.host,
            username=server.username,
            label=server.label,
            enabled=server.enabled,
            allow_unauthorized=server.allow_unauthorized,
            read_only=server.read_only,
            status=ServerStatus.DISCONNECTED,
            fingerprint=server.fingerprint,
            pins=server.pins,
        )
        if server.enabled:
            self._connected(server.id)

    async def remove(self, server_id: str) -> None:
        del self._states[server_id]

    def states(self) -> list[ServerState]:
        return list(self._states.values())

    def state(self, server_id: str) -> ServerState:
        return self._states[server_id]

    async def change(self, server: ServerCredentials) -> None:
        before = self.credentials[server.id]
        moved = (before.host, before.username, before.password) != (server.host, server.username, server.password)
        if moved and self._states[server.id].status is not ServerStatus.DISCONNECTED:
            raise PoolError("it is connected", code="SERVER_CONNECTED")
        self.credentials[server.id] = server
        self._states[server.id] = msgspec.structs.replace(
            self._states[server.id],
            host=server.host,
            username=server.username,
            label=server.label,
            read_only=server.read_only,
            allow_unauthorized=server.allow_unauthorized,
            fingerprint=server.fingerprint,
            pins=server.pins,
        )

    async def connect(self, server_id: str) -> None:
        if "down" in self._states[server_id].host:
            raise PoolUnreachable("pool north at down does not answer", evidence={"pool": "north", "host": "down"})
        self._connected(server_id)

    async def disconnect(self, server_id: str) -> None:
        self._states[server_id] = msgspec.structs.replace(self._states[server_id], status=ServerStatus.DISCONNECTED)

    def meet(self, server_id: str, place: str, fingerprint: str) -> None:
        """Another host of the pool, whose certificate is pinned."""
        state = self._states[server_id]
        self._states[server_id] = msgspec.structs.replace(state, pins=state.pins | {place: fingerprint})

    def lose(self, server_id: str, code: str) -> None:
        """A connection, with this error."""
        self._states[server_id] = msgspec.structs.replace(
            self._states[server_id], status=ServerStatus.DISCONNECTED, error={"code": code}
        )

    def _connected(self, server_id: str) -> None:
        self._states[server_id] = msgspec.structs.replace(
            self._states[server_id],
            status=ServerStatus.CONNECTED,
            pool_id="pool-1",
            pool_name_label="north",
            master="host-1",
            fingerprint="AA:BB",
            encryption=Encryption(protocol="TLSv1", cipher="AES128-SHA", key_type="RSA", key_bits=2048),
        )


class Client:
    """A websocket client. A frame that would hang or crash XO's own fails the test."""

    def __init__(self, url: str, **options: Any) -> None:
        self.next_id = FIRST_ID
        self.notes: list[dict[str, Any]] = []
        self.answers: dict[int, dict[str, Any]] = {}
        self._open = contextlib.ExitStack()
        self.socket: ClientConnection = self._open.enter_context(connect(url, max_size=None, **options))

    def close(self) -> None:
        self._open.close()

    def take(self, timeout: float = 10) -> dict[str, Any]:
        text = self.socket.recv(timeout=timeout)
        assert isinstance(text, str), "a binary frame"
        message: dict[str, Any] = json.loads(text)
        assert message["jsonrpc"] == "2.0"
        if "method" in message:
            assert "id" not in message
            self.notes.append(message)
        else:
            assert ("result" in message) != ("error" in message)
            self.answers[message["id"]] = message
        return message

    def send(self, method: str, params: Any = None) -> int:
        id, self.next_id = self.next_id, self.next_id + 1
        message = {"id": id, "jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})
        self.socket.send(json.dumps(message))
        return id

    def wait(self, id: int) -> dict[str, Any]:
        while id not in self.answers:
            self.take()
        return self.answers.pop(id)

    def call(self, method: str, /, **params: Any) -> Any:
        answer = self.wait(self.send(method, params))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def error(self, method: str, params: Any = None) -> dict[str, Any]:
        answer = self.wait(self.send(method, params))
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    def note(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first notification that fits, among those taken and those to come."""
        while True:
            for note in self.notes:
                if fits(note):
                    return note
            self.take()


class Protocol(Farewell, WebSocketsSansIOProtocol):
    """As the real server has it."""


class FakeRecords:
    """The records of all pools, told of as the test says. Fits ``xo_warmig.api.ports.RecordsSource``."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str, Sequence[Change]], None]] = []
        self.asked = 0

    async def records(self) -> None:
        """All is told at once."""
        self.asked += 1

    def subscribe(self, listener: Callable[[str, Sequence[Change]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def change(self, pool: str, changes: Sequence[Change]) -> None:
        for listener in self.listeners:
            listener(pool, changes)


class FakeVms:
    """Fits ``xo_warmig.api.ports.VmOrders``; keeps what was ordered, and raises ``refusal``."""

    def __init__(self) -> None:
        self.orders: list[tuple[Any, ...]] = []
        self.refusal: Exception | None = None

    async def start(self, vm: str, *, host: str | None = None, force: bool = False) -> None:
        self._take("start", vm, host, force)

    async def stop(
        self, vm: str, *, force: bool = False, force_after_seconds: float = 0.0, bypass_blocked: bool = False
    ) -> None:
        self._take("stop", vm, force, force_after_seconds, bypass_blocked)

    async def restart(self, vm: str, *, force: bool = False, bypass_blocked: bool = False) -> None:
        self._take("restart", vm, force, bypass_blocked)

    async def pause(self, vm: str) -> None:
        self._take("pause", vm)

    async def unpause(self, vm: str) -> None:
        self._take("unpause", vm)

    async def suspend(self, vm: str) -> None:
        self._take("suspend", vm)

    async def resume(self, vm: str) -> None:
        self._take("resume", vm)

    async def snapshot(
        self, vm: str, *, name: str | None = None, description: str | None = None, memory: bool = False
    ) -> str:
        self._take("snapshot", vm, name, description, memory)
        return "snapshot-1"

    async def delete(
        self, vm: str, *, disks: bool = True, bypass_blocked: bool = False, even_default_template: bool = False
    ) -> None:
        self._take("delete", vm, disks, bypass_blocked, even_default_template)

    async def change(self, vm: str, changes: VmChanges) -> None:
        self._take("change", vm, changes)

    def _take(self, *order: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.orders.append(order)


class FakeSrs:
    """Fits ``xo_warmig.api.ports.SrOrders``."""

    def __init__(self) -> None:
        self.orders: list[tuple[Any, ...]] = []

    async def scan(self, sr: str) -> None:
        self.orders.append(("scan", sr))

    async def rename(
        self, sr: str, *, name_label: str | UnsetType = UNSET, name_description: str | UnsetType = UNSET
    ) -> None:
        self.orders.append(("rename", sr, name_label, name_description))


class FakeTasks:
    """Fits ``xo_warmig.api.ports.TaskOrders``: one task of a pool, ``t``."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, str]] = []

    async def cancel(self, task: str) -> None:
        self._take("cancel", task)

    async def destroy(self, task: str) -> None:
        self._take("destroy", task)

    def _take(self, order: str, task: str) -> None:
        if task != "t":
            raise NoSuchObject(f"no such task {task}", evidence={"id": task, "type": "task"})
        self.orders.append((order, task))


class Site:
    """A server that runs in a thread of its own."""

    def __init__(self, state_dir: Path, settings: ApiSettings) -> None:
        self.engine = FakeEngine()
        self.servers = FakeServers()
        self.records = FakeRecords()
        self.vms = FakeVms()
        self.srs = FakeSrs()
        self.tasks = FakeTasks()
        self.orders = Orders(self.vms, self.srs, self.tasks)
        self._streams: Streams | None = None
        self.database = Database(url_in(state_dir))
        self.vault = open_vault(state_dir, self.database, {})
        self.accounts = Accounts(self.database, self.vault)
        self.accounts.make_first_administrator(PASSWORD)
        self.accounts.users.add("reader@example.org", hash_password(PASSWORD), permission="none")
        book = ServerBook(ServerStore(self.database, self.vault), self.servers)
        audit = Audit(self.database, self.accounts.users)
        self._app = self.application(book, audit, settings)
        config = uvicorn.Config(
            self._app,
            ws=Protocol,
            ws_max_size=100 << 20,
            log_config=None,
            proxy_headers=False,
            ws_per_message_deflate=False,
        )
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"ws://{self.address}/api/"
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_until(lambda: self._server.started)

    def application(self, book: ServerBook, audit: Audit, settings: ApiSettings) -> ASGIApp:
        """What is served."""
        app = build_app(self.engine, book, self.accounts, audit, self.records, self.orders, settings=settings)
        self._streams = app.state.streams
        return app

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._listener])

        asyncio.run(serve())

    def stop(self) -> None:
        if self._streams is not None:
            self.do(self._streams.close)
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.database.close()

    def requests(self) -> int:
        """Those that are being answered; a websocket is one."""
        return len(self._server.server_state.tasks)

    def connections(self) -> list[object]:
        return list(self._server.server_state.connections)

    def do(self, action: Callable[[], Any]) -> Any:
        """Run an action in the server's event loop."""
        assert self.loop is not None

        async def run() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


def wait_until(condition: Callable[[], Any], timeout_seconds: float = 10) -> Any:
    """The condition's value once it is true."""
    end = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.005)
    return value


@pytest.fixture
def fake_records() -> FakeRecords:
    """Of pools that the test makes."""
    return FakeRecords()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, site_settings: ApiSettings) -> Iterator[Site]:
    """One server for the tests of a module."""
    site = Site(tmp_path_factory.mktemp("state"), site_settings)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def site_settings() -> ApiSettings:
    """What the module's server is configured with; a module may have its own."""
    return ApiSettings(task_linger_seconds=0.1)


@pytest.fixture
def new_client(site: Site) -> Iterator[Callable[..., Client]]:
    """Opens connections: ``new_client()`` is signed in as an administrator, ``new_client(None)`` is not signed in."""
    opened: list[Client] = []

    def make(email: str | None = FIRST_ADMINISTRATOR, **options: Any) -> Client:
        client = Client(options.pop("url", site.url), **options)
        opened.append(client)
        if email is not None:
            client.call("session.signIn", email=email, password=PASSWORD)
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(new_client: Callable[..., Client]) -> Client:
    """A connection of an administrator."""
    return new_client()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one, ``xo-warmig.sqlite`` in ``tmp_path``."""
    database = Database(url_in(tmp_path))
    yield database
    database.close()


@pytest.fixture
def at_rest(database: Database, tmp_path: Path) -> Callable[[], bytes]:
    """All that the database's files hold, of which nothing may be secret."""
    return lambda: b"".join(path.read_bytes() for path in sorted(tmp_path.glob(f"{FILE_NAME}*")))


@pytest.fixture
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def fake_servers() -> FakeServers:
    return FakeServers()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def report() -> Callable[..., MigrationReport]:
    """Makes a report; keywords replace members."""

    def make(id: str = "m1", **changes: Any) -> MigrationReport:
        request = WarmMigrationRequest(vm="vm-1", sr="sr-1", start_destination_vm=True, delete_source_vm=False)
        return msgspec.structs.replace(new_report(id, request, "somebody"), **changes)

    return make


def _fits(engine: FakeEngine, servers: FakeServers) -> Sequence[object]:
    """For the type checker: the fakes fit the API's ports."""
    from xo_warmig.api.ports import MigrationEngine, Servers

    first: MigrationEngine = engine
    second: Servers = servers
    return [first, second]
