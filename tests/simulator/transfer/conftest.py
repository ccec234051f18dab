"""A pool with a disk, and a client that talks to its disk handlers over a pair of sockets."""

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import pytest

from xo_warmig.simulator.assembly import close_pool, open_pool
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.request import HttpRequest
from xo_warmig.simulator.site import PoolConfig
from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.transfer import serve_export, serve_import


@dataclass
class Answer:
    """What the client read until the end of the connection."""

    line: str
    headers: dict[str, str]
    body: bytes
    head: str


@dataclass
class Client:
    """One exchange at a time, in the process of the pool."""

    pool: SimPool
    host: str
    vdi: str
    session: str
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def sr(self) -> str:
        return str(self.pool.db.field("VDI", self.vdi, "SR"))

    @property
    def uuid(self) -> str:
        return str(self.pool.db.field("VDI", self.vdi, "uuid"))

    def task(self) -> str:
        return self.pool.tasks.create("test")

    def record(self, task: str) -> dict[str, Any]:
        return self.pool.db.get("task", task)

    def disk(self, blocks: int = 8) -> str:
        """Another VDI."""
        return add_vdi(self.pool, blocks)

    def write(self, offset: int, data: bytes, vdi: str | None = None) -> None:
        with self.pool.storage.open(self.pool.db.field("VDI", vdi or self.vdi, "uuid"), writable=True) as disk:
            disk.pwrite(offset, data)

    def read(self, vdi: str | None = None) -> bytes:
        with self.pool.storage.open(self.pool.db.field("VDI", vdi or self.vdi, "uuid")) as disk:
            return disk.pread(0, disk.size_bytes)

    def connect(self, method: str, headers: dict[str, str], args: dict[str, str], **override: Any) -> socket.socket:
        """Begin an exchange; the handler runs in a thread."""
        ours, theirs = socket.socketpair()
        ours.settimeout(20)
        defaults: dict[str, Any] = {"host": self.host, "session": self.session}
        path = "/export_raw_vdi" if method == "GET" else "/import_raw_vdi"
        rfile = cast(BufferedReader, theirs.makefile("rb", buffering=1 << 16))
        request = HttpRequest(
            pool=self.pool,
            method=method,
            path=path,
            args=args,
            headers=headers,
            rfile=rfile,
            connection=theirs,
            **(defaults | override),
        )

        def serve() -> None:
            with theirs, rfile:
                (serve_export if method == "GET" else serve_import)(request)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self._threads.append(thread)
        return ours

    def join(self) -> None:
        """Wait until every handler has returned."""
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        self._threads.clear()

    def get(self, override: dict[str, Any] | None = None, **args: str) -> Answer:
        """A whole export."""
        with self.connect("GET", {}, {"vdi": self.vdi, "format": "vhd"} | args, **(override or {})) as connection:
            return self._rest(connection)

    def put(
        self, body: bytes, headers: dict[str, str] | None = None, override: dict[str, Any] | None = None, **args: str
    ) -> Answer:
        """A whole import."""
        with self.connect("PUT", headers or {}, {"vdi": self.vdi} | args, **(override or {})) as connection:
            sender = threading.Thread(target=_send, args=(connection, body), daemon=True)
            sender.start()
            answer = self._rest(connection)
            connection.shutdown(socket.SHUT_RDWR)
            sender.join(20)
            return answer

    def _rest(self, connection: socket.socket) -> Answer:
        data = b""
        try:
            while piece := connection.recv(1 << 20):
                data += piece
        except ConnectionResetError:
            pass  # how a connection that breaks ends
        self.join()
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (item.partition(":") for item in lines)}
        return Answer(line=line, headers=headers, body=body, head=head.decode())


def _send(connection: socket.socket, body: bytes) -> None:
    try:
        connection.sendall(body)
    except OSError:
        return  # the handler had heard enough


def add_vdi(pool: SimPool, blocks: int) -> str:
    uuid = pool.db.new_uuid()
    pool.storage.create(uuid, blocks * BLOCK)
    sr = pool.db.row("pool", pool.pool_ref)["default_SR"]
    return pool.db.create(
        "VDI", uuid=uuid, location=uuid, SR=sr, virtual_size=blocks * BLOCK, managed=True, type="user"
    )


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Makes a pool of two hosts, whose default repository only the first one sees; keyword arguments replace its parts."""
    pools: list[SimPool] = []

    def make(**parts: Any) -> Client:
        addresses = ["127.0.0.1", "127.0.0.2"]
        config = PoolConfig(name="pool", addresses=addresses, hosts=2, port=8080, gc_delay_seconds=3600)
        pool = open_pool(config, tmp_path / "pool")
        pools.append(pool)
        pool = dataclasses.replace(pool, **parts)
        return Client(pool=pool, host=pool.master, vdi=add_vdi(pool, 8), session="OpaqueRef:session")

    yield make
    for pool in pools:
        close_pool(pool)


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()
