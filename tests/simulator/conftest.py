"""A pool in the test's own process, without the wire, and calls into it as a logged-in client makes them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xo_warmig.simulator import tls
from xo_warmig.simulator.assembly import close_pool, open_pool
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.dispatcher import Request, answer
from xo_warmig.simulator.pool import SimPool
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
