"""Node, and the packages of package-lock.json, for the clients that no one here wrote."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from xo_warmig.simulator.launch import Pool

HERE = Path(__file__).parent
SECONDS = 100


class Node:
    """Runs a script of this folder to its end."""

    def __init__(self, program: str) -> None:
        self._program = program

    async def __call__(self, script: str, *arguments: str) -> dict[str, Any]:
        """The JSON object of its last line. A failing script fails the test with what it said."""
        process = await asyncio.create_subprocess_exec(
            self._program, script, *arguments, cwd=HERE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, f"{script}:\n{errors.decode()}\n{output.decode()}"
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        return result


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
