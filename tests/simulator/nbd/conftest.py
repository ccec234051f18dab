"""A pool with an NBD server and a disk, and a client that can also ask impolite questions. It shares no code with the server."""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from xo_warmig.simulator.dispatcher import Request, answer
from xo_warmig.simulator.nbd import NbdServer
from xo_warmig.simulator.pool import SimPool

MIB = 1 << 20
SIZE = 16 * MIB


class Served:
    """A pool, its NBD server, and one disk of 16 MiB."""

    def __init__(self, pool: SimPool) -> None:
        self.pool = pool
        self.session = pool.sessions.login("root", "tests", pool.master)
        self.vdi = self.disk()
        self.connections: list[Nbd] = []

    def call(self, method: str, *args: Any) -> Any:
        return answer(Request(self.pool, self.pool.master, method, (self.session, *args))).value

    def disk(self, **fields: Any) -> str:
        sr = self.pool.db.row("pool", self.pool.pool_ref)["default_SR"]
        record = {
            "SR": sr,
            "virtual_size": SIZE,
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
        }
        return str(self.call("VDI.create", record | fields))

    def uuid(self, vdi: str | None = None) -> str:
        return str(self.pool.db.row("VDI", vdi or self.vdi)["uuid"])

    def name(self, vdi: str | None = None) -> str:
        """Of the export."""
        return f"/{self.uuid(vdi)}?session_id={self.session}"

    def write(self, offset: int, data: bytes) -> None:
        with self.pool.storage.open(self.uuid(), writable=True) as disk:
            disk.pwrite(offset, data)

    def connect(self) -> "Nbd":
        """A client that has been greeted, if the server greets at all."""
        host = self.pool.master
        connection = Nbd((self.pool.db.row("host", host)["address"], self.pool.nbd_ports[host]))
        self.connections.append(connection)
        return connection

    def open(self, vdi: str | None = None) -> "Nbd":
        """A client that may read the disk."""
        connection = self.connect()
        connection.greet()
        assert connection.export(self.name(vdi)) == (SIZE, 3)
        return connection

    def vbds(self) -> list[dict[str, Any]]:
        return [self.pool.db.get("VBD", ref) for ref in self.pool.db.row("VDI", self.vdi)["VBDs"]]

    def trace(self) -> list[tuple[str, int, str | None]]:
        """Disk, bytes and error of each connection that has ended."""
        found = self.pool.trace.since()["transfers"]
        assert {(entry.name, entry.format, entry.written) for entry in found} <= {("nbd_read", "nbd", 0)}
        return [(entry.vdi, entry.bytes, entry.error) for entry in found]

    def ended(self, count: int) -> list[tuple[str, int, str | None]]:
        """The same when that many have ended."""
        end = time.monotonic() + 10
        while len(self.trace()) < count:
            assert time.monotonic() < end
            time.sleep(0.01)
        return self.trace()


class Nbd:
    """The client's side of the protocol, in the order in which a test wants it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket: socket.socket = socket.create_connection(address, timeout=20)

    def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError(f"closed after {len(data)} of {count} bytes")
            data += piece
        return data

    def greet(self, flags: int = 1) -> int:
        magic, option, offered = struct.unpack(">8sQH", self.take(18))
        assert (magic, option) == (b"NBDMAGIC", 0x49484156454F5054)
        self.socket.sendall(struct.pack(">I", flags))
        return int(offered)

    def ask_option(self, number: int, data: bytes = b"") -> int:
        """What it is answered with."""
        self.socket.sendall(struct.pack(">QII", 0x49484156454F5054, number, len(data)) + data)
        magic, option, answer, length = struct.unpack(">QIII", self.take(20))
        assert (magic, option, length) == (0x3E889045565A9, number, 0)
        return int(answer)

    def export(self, name: str) -> tuple[int, int]:
        self.socket.sendall(struct.pack(">QII", 0x49484156454F5054, 1, len(name)) + name.encode())
        size, flags = struct.unpack(">QH", self.take(10))
        assert self.take(124) == bytes(124)
        return size, flags

    def start_tls(self) -> None:
        assert self.ask_option(5) == 1
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def ask(self, command: int, offset: int = 0, length: int = 0, handle: int = 1, payload: bytes = b"") -> None:
        head = struct.pack(">IHHQQI", 0x25609513, 0, command, handle, offset, length)
        self.socket.sendall(head + payload)

    def answer(self) -> tuple[int, int]:
        """Error and handle."""
        magic, error, handle = struct.unpack(">IIQ", self.take(16))
        assert magic == 0x67446698
        return error, handle

    def read(self, offset: int, length: int) -> bytes:
        self.ask(0, offset, length)
        assert self.answer() == (0, 1)
        return self.take(length)

    def is_closed(self) -> bool:
        """Whether the server says nothing more."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def serve(new_pool: Callable[..., SimPool]) -> Iterator[Callable[..., Served]]:
    """Makes a pool with a server; keyword arguments are those of PoolConfig."""
    made: list[tuple[NbdServer, Served]] = []

    def serve(**fields: Any) -> Served:
        pool = new_pool(**({"nbd_purpose": "insecure_nbd"} | fields))
        server = NbdServer(pool)
        server.start()
        made.append((server, Served(pool)))
        return made[-1][1]

    yield serve
    for server, served in made:
        for connection in served.connections:
            connection.close()
        served.pool.stopping.set()
        server.stop()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()
