"""Transfers through the whole server, on loopback, in clear and in TLS."""

import random
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlencode

import pytest

from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
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


def exchange(pool: SimPool, line: str, body: bytes = b"", **args: str) -> tuple[bytes, bytes]:
    """Head and body of the answer. An end of a TLS stream that is not announced raises."""
    session = pool.sessions.login("root", "test", pool.master)
    with socket.create_connection(("127.0.0.1", pool.config.port), timeout=20) as plain:
        connection = plain
        if pool.config.https:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(plain, suppress_ragged_eofs=False)
        with connection:
            connection.sendall(f"{line}?{urlencode({'session_id': session} | args)} HTTP/1.1\r\n\r\n".encode() + body)
            answer = b""
            while piece := connection.recv(1 << 20):
                answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head, rest


def test_what_went_in_comes_out(pool: SimPool) -> None:
    """Sparse in, raw and VHD out; the end of the stream is the end of the connection."""
    call = Call(pool=pool, method="VDI.create", host=pool.master)
    vdi = disks.create(call, pool.db.row("pool", pool.pool_ref)["default_SR"], 3 * BLOCK, type="user")
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
    call = Call(pool=pool, method="VDI.create", host=pool.master)
    vdi = disks.create(call, pool.db.row("pool", pool.pool_ref)["default_SR"], BLOCK, type="user")
    body = struct.pack("<QI", 8 * BLOCK, 512) + bytes(200_000)
    _, rest = exchange(pool, "PUT /import_raw_vdi", body, vdi=vdi, chunked="1")
    assert rest.startswith(b"HTTP/1.1 400 Bad Request")
    assert rest.endswith(b"</html>")
