"""Transfers through the whole server, on loopback, in clear and in TLS."""

import random
import socket
import ssl
import struct
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.faults import FaultKind, FaultOrder
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.server import PoolServer
from xo_warmig.simulator.storage import BLOCK


@pytest.fixture(params=[False, True], ids=["http", "https"])
def pool(request: pytest.FixtureRequest, new_pool: Callable[..., SimPool]) -> Iterator[SimPool]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    pool = new_pool(https=request.param, port=port)
    server = PoolServer(pool)
    server.start()
    yield pool
    server.stop()


@contextmanager
def connected(pool: SimPool, line: str, **args: str) -> Iterator[socket.socket]:
    """A transfer whose head has been sent."""
    with socket.create_connection(("127.0.0.1", pool.config.port), timeout=20) as plain:
        connection = plain
        if pool.config.https:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(plain, suppress_ragged_eofs=False)
        with connection:
            connection.sendall(f"{line}?{urlencode(args)} HTTP/1.1\r\n\r\n".encode())
            yield connection


def rest_of(connection: socket.socket) -> bytes:
    """Everything until the end. An end of a TLS stream that is not announced raises."""
    answer = b""
    while piece := connection.recv(1 << 20):
        answer += piece
    return answer


def exchange(pool: SimPool, line: str, body: bytes = b"", **args: str) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    with connected(pool, line, session_id=login(pool), **args) as connection:
        connection.sendall(body)
        head, _, rest = rest_of(connection).partition(b"\r\n\r\n")
    return head, rest


def login(pool: SimPool) -> str:
    return pool.sessions.login("root", "test", pool.master)


def new_disk(pool: SimPool, blocks: int = 3) -> str:
    call = Call(pool=pool, method="VDI.create", host=pool.master)
    return disks.create(call, pool.db.row("pool", pool.pool_ref)["default_SR"], blocks * BLOCK, type="user")


def chunk(offset: int, data: bytes) -> bytes:
    return struct.pack("<QI", offset, len(data)) + data


def rpc(pool: SimPool, method: str, *params: Any) -> Any:
    """A call by Python's own XML-RPC."""
    context = ssl._create_unverified_context() if pool.config.https else None
    url = f"{pool.config.scheme}://127.0.0.1:{pool.config.port}"
    with xmlrpc.client.ServerProxy(url, context=context) as proxy:
        answer: Any = getattr(proxy, method)(*params)
    assert answer["Status"] == "Success", answer
    return answer["Value"]


def test_what_went_in_comes_out(pool: SimPool) -> None:
    """Sparse in, raw and VHD out; the end of the stream is the end of the connection."""
    vdi = new_disk(pool)
    data = random.Random(1).randbytes(BLOCK)
    body = struct.pack("<QI", BLOCK // 2, BLOCK) + data + bytes(12)
    task = pool.tasks.create("import")
    head, rest = exchange(pool, "PUT /import_raw_vdi/", body, vdi=vdi, chunked="1", task_id=task)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert rest == b""
    assert pool.db.field("task", task, "status") == "success"
    _, raw = exchange(pool, "GET /export_raw_vdi/", vdi=vdi, format="raw")
    assert raw == bytes(BLOCK // 2) + data + bytes(3 * BLOCK // 2)
    _, vhd = exchange(pool, "GET /export_raw_vdi/", vdi=vdi, format="vhd")
    assert len(vhd) == 2048 + 512 + 2 * (512 + BLOCK) + 512
    assert vhd[2048 + 1024 : 2048 + 1024 + BLOCK] == raw[:BLOCK]


def test_a_failure_can_be_read_to_its_end(pool: SimPool) -> None:
    """Even when the client has sent more than was read."""
    vdi = new_disk(pool, 1)
    body = struct.pack("<QI", 8 * BLOCK, 512) + bytes(200_000)
    _, rest = exchange(pool, "PUT /import_raw_vdi", body, vdi=vdi, chunked="1")
    assert rest.startswith(b"HTTP/1.1 400 Bad Request")
    assert rest.endswith(b"</html>")


def test_an_import_outlives_its_cancellation_and_its_session(pool: SimPool) -> None:
    """Nobody who runs a transfer looks whether its task was cancelled, or asks for the session again: it goes on to its end."""
    vdi, session = new_disk(pool), login(pool)
    task = rpc(pool, "task.create", session, "import", "")
    with connected(pool, "PUT /import_raw_vdi", session_id=session, vdi=vdi, chunked="1", task_id=task) as connection:
        connection.sendall(chunk(0, b"a" * 512))
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        rpc(pool, "task.cancel", session, task)
        rpc(pool, "session.logout", session)
        connection.sendall(chunk(BLOCK, b"b" * 512))
        record = pool.db.get("task", task)
        assert (record["status"], list(record["current_operations"].values())) == ("pending", ["cancel"])
        assert len(pool.db.field("VDI", vdi, "VBDs")) == 1
        connection.sendall(bytes(12))
        assert b"500" not in rest_of(connection)
    record = rpc(pool, "task.get_record", login(pool), task)
    assert (record["status"], record["result"], record["error_info"]) == ("success", f"<value>{vdi}</value>", [])
    _, raw = exchange(pool, "GET /export_raw_vdi", vdi=vdi, format="raw")
    assert raw == (b"a" * 512).ljust(BLOCK, b"\0") + (b"b" * 512).ljust(2 * BLOCK, b"\0")


def test_an_export_outlives_its_cancellation_and_its_session(pool: SimPool) -> None:
    """To the last byte."""
    vdi, session = new_disk(pool), login(pool)
    data = random.Random(3).randbytes(3 * BLOCK)
    exchange(pool, "PUT /import_raw_vdi", chunk(0, data) + bytes(12), vdi=vdi, chunked="1")
    pool.faults.add(FaultOrder(kind=FaultKind.HANG, match="export_raw_vdi", at=BLOCK))
    task = rpc(pool, "task.create", session, "export", "")
    with connected(pool, "GET /export_raw_vdi", session_id=session, vdi=vdi, task_id=task) as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        rpc(pool, "task.cancel", session, task)
        rpc(pool, "session.logout", session)
        pool.faults.clear()
        body = rest_of(connection).partition(b"\r\n\r\n")[2]
    assert body == data
    record = rpc(pool, "task.get_record", login(pool), task)
    assert (record["status"], record["error_info"]) == ("success", [])


def test_a_disk_can_be_cloned_while_an_import_holds_it(pool: SimPool) -> None:
    """The way on when an older writer does not let go: the clone is another disk, and each of them gets its own writes alone."""
    vdi, session = new_disk(pool), login(pool)
    tasks = [rpc(pool, "task.create", session, "import", "") for _ in range(2)]
    with connected(pool, "PUT /import_raw_vdi", session_id=session, vdi=vdi, chunked="1", task_id=tasks[0]) as old:
        old.sendall(chunk(0, b"a" * BLOCK))
        until(lambda: pool.storage.allocated_blocks(pool.db.field("VDI", vdi, "uuid")) == [0])
        clone = rpc(pool, "VDI.clone", session, vdi)
        record = rpc(pool, "VDI.get_record", session, clone)
        assert (record["is_a_snapshot"], record["read_only"], record["VBDs"]) == (False, False, [])
        with connected(
            pool, "PUT /import_raw_vdi", session_id=session, vdi=clone, chunked="1", task_id=tasks[1]
        ) as new:
            old.sendall(chunk(BLOCK, b"b" * BLOCK))
            new.sendall(chunk(BLOCK // 2, b"c" * BLOCK) + bytes(12))
            rest_of(new)
        old.sendall(chunk(0, b"d" * 512) + bytes(12))
        rest_of(old)
    assert [pool.db.field("task", task, "status") for task in tasks] == ["success", "success"]
    _, raw = exchange(pool, "GET /export_raw_vdi", vdi=vdi, format="raw")
    assert raw == b"d" * 512 + b"a" * (BLOCK - 512) + b"b" * BLOCK + bytes(BLOCK)
    _, raw = exchange(pool, "GET /export_raw_vdi", vdi=clone, format="raw")
    assert raw == b"a" * (BLOCK // 2) + b"c" * BLOCK + bytes(BLOCK // 2 + BLOCK)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
