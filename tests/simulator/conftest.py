"""A pool in the test's own process, without the wire, and calls into it as a logged-in client makes them."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from xo_warmig.simulator import tls
from xo_warmig.simulator.assembly import close_pool, open_pool
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.dispatcher import Request, answer
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.server import PoolServer
from xo_warmig.simulator.site import PoolConfig

ADDRESS = "127.0.0.1"


class Client:
    """A session with a pool. ``client("VM.start", ref, False, False)`` gives the plain value that the call gave."""

    def __init__(self, pool: SimPool, host: str | None = None) -> None:
        self.pool = pool
        self.host = host or pool.master
        self.session = pool.sessions.login(pool.config.username, "tests", pool.master)

    def __call__(self, method: str, *args: Any) -> Any:
        """A call with the session in front. XapiFailure as the client would be told."""
        return self.raw(method, self.session, *args)

    def raw(self, method: str, *params: Any) -> Any:
        """A call with just these parameters."""
        return answer(Request(self.pool, self.host, method, params)).value


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a host's certificate: making one takes longer than a test should."""
    directory = tmp_path_factory.mktemp("certificates")
    tls.certificate_file(directory, ADDRESS)
    return directory


@pytest.fixture
def new_pool(tmp_path: Path, certificates: Path) -> Iterator[Callable[..., SimPool]]:
    """Makes pools; keyword arguments are those of PoolConfig, and ``directory``. They are closed at the end."""
    pools: list[SimPool] = []

    def make(directory: str = "pool", **fields: Any) -> SimPool:
        where = tmp_path / directory
        where.mkdir(exist_ok=True)
        for file in certificates.iterdir():
            shutil.copy(file, where / file.name)
        pool = open_pool(PoolConfig(**({"name": "pool-t", "addresses": [ADDRESS]} | fields)), where)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        close_pool(pool)


@pytest.fixture
def pool(new_pool: Callable[..., SimPool]) -> SimPool:
    """A pool without VMs."""
    return new_pool()


@pytest.fixture
def client(pool: SimPool) -> Client:
    return Client(pool)


@pytest.fixture
def raw(client: Client) -> Callable[..., Any]:
    """Calls with just the parameters given: no session is put in front."""
    return client.raw


@pytest.fixture
def server(pool: SimPool) -> Iterator[tuple[str, int]]:
    """The pool's HTTP server: address and port."""
    probe = socket.create_server((ADDRESS, 0))
    port = probe.getsockname()[1]
    probe.close()
    pool.config = msgspec.structs.replace(pool.config, port=port)
    running = PoolServer(pool)
    running.start()
    yield ADDRESS, port
    running.stop()
