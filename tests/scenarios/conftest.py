"""A whole system on loopback: two simulated pools, a server that has both, and a client that is signed in."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import forked
from tests.pools import control, start_site
from tests.scenarios.waiting import until_connected
from xo_warmig import config
from xo_warmig.app import running
from xo_warmig.client import Client, connect
from xo_warmig.config import Config
from xo_warmig.model.pool_tasks import label_of
from xo_warmig.model.rates import WrittenRates
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool, Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig


def asked_of(site: Site, **changes: Any) -> dict[str, Any]:
    """Parameters of a migration: the source's first VM to the target's first SR, started there, with the source kept."""
    return {
        "vm": site.pools[0].vms[0].uuid,
        "sr": site.pools[1].srs[0].uuid,
        "startDestinationVm": True,
        "deleteSourceVm": False,
    } | changes


class World:
    """What a scenario has in its hands."""

    def __init__(self, site: Site, served: "Served") -> None:
        self.site = site
        self.client = served.client
        self.server_pid = served.pid
        self.url = served.url
        self.source, self.target = site.pools[0], site.pools[1]
        self.vm = self.source.vms[0].uuid
        self.sr = self.target.srs[0].uuid

    async def migrate(self, **changes: Any) -> str:
        """``vm.warmMigration``; the target's uuid."""
        target: str = await self.client.call("vm.warmMigration", **self.asked(**changes))
        return target

    async def start(self, **changes: Any) -> str:
        """``warmMigration.start``; the migration's id."""
        migration: str = await self.client.call("warmMigration.start", **self.asked(**changes))
        return migration

    async def plan(self, **changes: Any) -> dict[str, Any]:
        """``warmMigration.plan``."""
        plan: dict[str, Any] = await self.client.call("warmMigration.plan", **self.asked(**changes))
        return plan

    def asked(self, **changes: Any) -> dict[str, Any]:
        """What all three are asked with."""
        return asked_of(self.site, **changes)

    async def control(self, pool: Pool, path: str, **order: Any) -> Any:
        return await asyncio.to_thread(control, pool, path, **order)

    async def state(self, pool: Pool, **query: str) -> dict[str, Any]:
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        told: dict[str, Any] = await self.control(pool, f"state?{asked}" if asked else "state")
        return told

    async def settled(self, pool: Pool) -> dict[str, Any]:
        """The pool's state once no task says that a migration runs. Those that show for a while how one ended are left out."""
        async with asyncio.timeout(20):
            state = await self.state(pool)
            while any(_shows_a_migration(task, "pending") for task in state["tasks"]):
                await asyncio.sleep(0.05)
                state = await self.state(pool)
        return state | {"tasks": [task for task in state["tasks"] if not _shows_a_migration(task, task["status"])]}

    async def vm_of(self, pool: Pool, uuid: str) -> dict[str, Any]:
        (found,) = [vm for vm in (await self.state(pool))["vms"] if vm["uuid"] == uuid]
        return dict(found)

    async def reports(self, of: str = "") -> list[dict[str, Any]]:
        """Of all migrations, or of those with that uuid or of the VM with it; the newest is the last."""
        reports = await self.client.call("warmMigration.list")
        found = [report for report in reports if of in ("", report["id"], report["vm"])]
        return sorted(found, key=lambda report: float(report["created"]))

    async def last_report(self, of: str = "") -> dict[str, Any]:
        """Of the newest one of these."""
        return (await self.reports(of))[-1]

    async def changes(self, pool: Pool) -> list[str]:
        """The calls that changed something on the pool, as its trace has them."""
        trace = await self.control(pool, "trace")
        entries = trace["calls"] if isinstance(trace, dict) else trace
        return [entry["method"] for entry in entries if entry.get("changed")]


def _shows_a_migration(task: dict[str, Any], status: str) -> bool:
    return bool(task["name_label"].startswith(label_of("")) and task["status"] == status)


def warned(report: dict[str, Any]) -> list[str]:
    """Codes of its warnings, but for the one that all simulated pools bring about which are spoken to over plain HTTP."""
    return [warning["code"] for warning in report["warnings"] if warning["code"] != "POOL_IN_CLEAR"]


def small_vm(**changes: Any) -> VmConfig:
    """Two small disks, and a guest that writes a little."""
    fields: dict[str, Any] = {
        "name_label": "web-1",
        "disks": [DiskConfig(size_bytes=256 * MIB, allocated_bytes=32 * MIB), DiskConfig(size_bytes=128 * MIB)],
        "guest": GuestConfig(kind="blocks", rate=2 * MIB, span=64 * MIB, disks=[0, 1]),
    }
    return VmConfig(**(fields | changes))


class Served(NamedTuple):
    """A server: its process, its address, and a client that is signed in."""

    pid: int
    url: str
    client: Client


@asynccontextmanager
async def served_here(
    state_dir: Path, upstream: str | None = None, rates: Mapping[str, WrittenRates] | None = None
) -> AsyncIterator[Served]:
    """In this process; before an upstream, if that is given. ``rates``: of pools, by what the configuration calls them."""
    pools = {name: config.PoolConfig(rate=rate) for name, rate in (rates or {}).items()}
    async with (
        running(Config(port=0, state_dir=state_dir, upstream=upstream, pools=pools)) as server,
        connect(server.url, token=server.token) as client,
    ):
        yield Served(os.getpid(), server.url, client)


@asynccontextmanager
async def served_apart(state_dir: Path) -> AsyncIterator[Served]:
    """As ``xo-warmig serve``, in a process of its own."""
    with state_dir.with_suffix(".log").open("ab") as log:
        process = await asyncio.to_thread(forked.server, "--port", "0", "--state-dir", str(state_dir), log=log)
    try:
        ready = json.loads(await asyncio.wait_for(asyncio.to_thread(process.first_line), 30))
        async with connect(ready["url"], email=ready["email"], password=ready["password"]) as client:
            yield Served(process.pid, ready["url"], client)
    finally:
        process.terminate()
        process.wait()  # not in a thread: a server that ran in this loop has taken the loop's threads with it
        process.close()


@asynccontextmanager
async def world_of(
    directory: Path,
    source: PoolConfig,
    target: PoolConfig,
    *,
    apart: bool,
    upstream: str | None,
    rates: Mapping[str, WrittenRates] | None = None,
) -> AsyncIterator[World]:
    """Everything up, and down again."""
    state = directory / "state"
    with start_site(SiteConfig(pools=[source, target], directory=directory / "pools")) as site:
        async with served_apart(state) if apart else served_here(state, upstream, rates) as served:
            await add_pools(served.client, site)
            yield World(site, served)


async def add_pools(client: Client, site: Site) -> None:
    """The server has both, connected."""
    for pool in site.pools:
        await client.call(
            "server.add", host=pool.url, username=pool.username, password=pool.password, allowUnauthorized=True
        )
    await until_connected(client)


Worlds = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def worlds(tmp_path: Path) -> Worlds:
    """Makes a world.

    Keyword arguments: ``vms`` of the source pool, ``source`` and ``target`` for fields of the pools, ``apart`` for a server in a
    process of its own, ``upstream`` for one that stands before that URL, ``rates`` of pools in its configuration.
    """

    def make(
        vms: list[VmConfig] | None = None,
        source: dict[str, Any] | None = None,
        target: dict[str, Any] | None = None,
        *,
        apart: bool = False,
        upstream: str | None = None,
        rates: Mapping[str, WrittenRates] | None = None,
    ) -> AbstractAsyncContextManager[World]:
        return world_of(
            tmp_path,
            PoolConfig(name="intel-pool", vms=[small_vm()] if vms is None else vms, **(source or {})),
            PoolConfig(name="amd-pool", cpu_vendor="AuthenticAMD", seed=2, **(target or {})),
            apart=apart,
            upstream=upstream,
            rates=rates,
        )

    return make
