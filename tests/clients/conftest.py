"""Node, the packages of package-lock.json, and a server that is connected to pools, for the clients that no one here wrote."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import XenAPI

from xo_warmig.app import running
from xo_warmig.client import connect
from xo_warmig.config import Config
from xo_warmig.simulator.launch import Pool, Site

HERE = Path(__file__).parent
SECONDS = 100
PASSWORD = "a password of the test"


class Served(NamedTuple):
    """A server: its HTTP origin, and how its administrator signs in."""

    url: str
    email: str
    password: str
    token: str


@asynccontextmanager
async def served(directory: Path, site: Site) -> AsyncIterator[Served]:
    """Connected to all pools of the site."""
    password_file = directory / "password"
    password_file.write_text(PASSWORD)
    async with running(Config(port=0, state_dir=directory / "state", admin_password_file=password_file)) as server:
        async with connect(server.url, token=server.token) as client:
            for pool in site.pools:
                named = {"host": pool.url, "username": pool.username, "password": pool.password}
                await client.call("server.add", allowUnauthorized=True, **named)
            async with asyncio.timeout(20):
                while any(each["status"] != "connected" for each in await client.call("server.getAll")):
                    await asyncio.sleep(0.02)
        yield Served(server.url, server.administrator, PASSWORD, server.token)


class Node:
    """Runs a script of this folder to its end."""

    def __init__(self, program: str) -> None:
        self._program = program

    async def __call__(
        self, script: str, *arguments: str, heard: Callable[[str], Awaitable[None]] | None = None
    ) -> dict[str, Any]:
        """The JSON object of its last line; ``heard`` is given each line before. A failing script fails the test with what it said."""
        process = await asyncio.create_subprocess_exec(
            self._program, script, *arguments, cwd=HERE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(SECONDS):
                output, errors = await asyncio.gather(_lines(process.stdout, heard), process.stderr.read())
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{script}:\n{errors.decode()}\n{output}"
        result: dict[str, Any] = json.loads(output[-1])
        return result


async def _lines(stream: asyncio.StreamReader, heard: Callable[[str], Awaitable[None]] | None) -> list[str]:
    lines = []
    async for line in stream:
        lines.append(line.decode().rstrip())
        if heard is not None and not lines[-1].startswith("{"):
            await heard(lines[-1])
    return lines


@pytest.fixture
def node() -> Node:
    program = shutil.which("node")
    if program is None:
        pytest.fail("node is missing. Run: apt-get install nodejs npm")
    if not (HERE / "node_modules").is_dir():
        pytest.fail("the node packages are missing. Run: make .made/node")
    return Node(program)


@contextmanager
def signed_in(pool: Pool) -> Iterator[Any]:
    """PyPI's XenAPI, signed in; out, and its connection closed, at the end."""
    with XenAPI.Session(pool.url) as session:
        session.xenapi.login_with_password(pool.username, pool.password, "1.0", "tests")
        yield session
        session.xenapi.session.logout()


@pytest.fixture
def xenapi() -> Callable[[Pool], AbstractContextManager[Any]]:
    return signed_in
