"""The same call again while it runs, whatever became of the socket or the server meanwhile: one migration, one answer."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests import forked
from tests.pools import start_site
from tests.scenarios.conftest import Worlds, asked_of
from tests.scenarios.waiting import ended, until, until_connected
from xo_warmig.cli.access import FILE_NAME, Access
from xo_warmig.client import Client, ConnectionLost, connect, persistently
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

_SECONDS = 90.0
# A full pass of some seconds, so that there is a middle of it.
BANDWIDTH = 12 * MIB


def large_vm() -> VmConfig:
    disk = DiskConfig(size_bytes=256 * MIB, allocated_bytes=48 * MIB)
    return VmConfig(name_label="db", disks=[disk], guest=GuestConfig(kind="blocks", rate=MIB, span=16 * MIB))


class Standing:
    """``xo-warmig serve`` with a state directory and, from its first start on, a port of its own."""

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        self._log = directory / "log"
        self._port = 0
        self._process: forked.Forked | None = None
        self.access = Access(url="", token="")

    async def start(self) -> None:
        where = ["--port", str(self._port), "--state-dir", str(self.state_dir)]
        with self._log.open("ab") as log:
            self._process = await asyncio.to_thread(forked.server, *where, log=log)
        ready = await asyncio.wait_for(asyncio.to_thread(self._process.first_line), _SECONDS)
        assert ready, self._log.read_text()[-2000:]
        self.access = msgspec.json.decode((self.state_dir / FILE_NAME).read_bytes(), type=Access)
        self._port = urlsplit(self.access.url).port or 0

    async def end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            await asyncio.to_thread(self._process.wait, _SECONDS)
            self._process.close()
            self._process = None

    def client(self) -> contextlib.AbstractAsyncContextManager[Client]:
        return connect(self.access.url, token=self.access.token)

    async def persist(self, method: str, **parameters: Any) -> Any:
        """Call, and again on the next connection when one is lost."""
        return await persistently(
            lambda client: client.call(method, **parameters),
            self.access.url,
            token=self.access.token,
            patience_seconds=_SECONDS,
        )


@contextlib.asynccontextmanager
async def standing(directory: Path, site: Site) -> AsyncIterator[Standing]:
    """A server that has both pools."""
    server = Standing(directory)
    await server.start()
    try:
        async with server.client() as client:
            for pool in site.pools:
                named = {"host": pool.url, "username": pool.username, "password": pool.password}
                await client.call("server.add", allowUnauthorized=True, **named)
            await until_connected(client)
        yield server
    finally:
        await server.end(signal.SIGTERM)


async def until_copying(server: Standing) -> str:
    """The only migration's id, in the middle of its full pass."""

    def in_the_middle(report: dict[str, Any]) -> bool:
        current = report["currentPass"]
        return report["phase"] == "copying" and current is not None and current["disks"][0]["doneBytes"] > 4 * MIB

    async with asyncio.timeout(_SECONDS), server.client() as client:
        while not (reports := [r for r in await client.call("warmMigration.list") if in_the_middle(r)]):
            await asyncio.sleep(0.05)
    return str(reports[0]["id"])


async def test_a_call_joins_the_one_that_runs(worlds: Worlds) -> None:
    """At once, in the middle, and after the end: one answer, and one VM on the target."""
    async with worlds() as world:
        calls = [asyncio.ensure_future(world.migrate()) for _ in range(3)]
        await until(world, lambda report: report["phase"] != "planned")
        calls.append(asyncio.ensure_future(world.migrate()))
        answers = {await call for call in calls}
        assert (await ended(world))["phase"] == "done"
        answers.add(await world.migrate())
        assert len(answers) == 1
        assert len(await world.client.call("warmMigration.list")) == 1
        assert [vm["uuid"] for vm in (await world.state(world.target))["vms"]] == list(answers)


async def drop_a_socket(server: Standing, asked: dict[str, Any]) -> None:
    """A client that goes away in the middle of its call."""
    async with server.client() as client:
        waiting = asyncio.ensure_future(client.call("vm.warmMigration", **asked))
        await asyncio.sleep(0.5)
    with pytest.raises(ConnectionLost):
        await waiting


async def stop_and_start(server: Standing, asked: dict[str, Any]) -> None:
    await server.end(signal.SIGTERM)
    await server.start()


async def kill_and_start(server: Standing, asked: dict[str, Any]) -> None:
    await server.end(signal.SIGKILL)
    await server.start()


async def command_line(server: Standing, *arguments: str) -> dict[str, Any]:
    """What ``xo-warmig`` prints as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "xo_warmig", *arguments, "--json", "--state-dir", str(server.state_dir),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, (out, errors)
    printed: dict[str, Any] = json.loads(out)
    return printed


@pytest.mark.parametrize("happening", [drop_a_socket, stop_and_start, kill_and_start])
async def test_one_answer_whatever_happens_in_between(tmp_path: Path, happening: Callable[..., Any]) -> None:
    """To the API's call, which is made again on the next connection; to a call made afterwards; and to the command line."""
    pools = [
        PoolConfig(name="intel", vms=[large_vm()], bandwidth=BANDWIDTH),
        PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2),
    ]
    with start_site(SiteConfig(pools=pools, directory=tmp_path / "pools")) as site:
        asked = asked_of(site)
        async with standing(tmp_path, site) as server:
            first = asyncio.ensure_future(server.persist("vm.warmMigration", **asked))
            command = asyncio.ensure_future(command_line(server, "migrate", asked["vm"], asked["sr"]))
            migration = await until_copying(server)
            await happening(server, asked)
            second = asyncio.ensure_future(server.persist("vm.warmMigration", **asked))
            target = await asyncio.wait_for(first, _SECONDS)
            assert await asyncio.wait_for(second, _SECONDS) == target
            told = await command
            assert (told["id"], told["targetVm"]) == (migration, target)
            async with server.client() as client:
                (report,) = await client.call("warmMigration.list")
                again = await client.call("vm.warmMigration", **asked)
            assert again == target
            restarted = happening is not drop_a_socket
            assert report["epoch"] == (2 if restarted else 1)
