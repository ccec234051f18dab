"""Whole migrations through a server of its own process, by the calls that any client makes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.served import Served, served
from xo_warmig.client import Client
from xo_warmig.simulator.launch import Site

OF_SIMULATED_POOLS = "POOL_IN_CLEAR"  # by intent


class Serving(NamedTuple):
    """A server that is connected to all pools of a site, and a client of it that is signed in."""

    site: Site
    server: Served
    client: Client

    async def migrate(self, vm: int, **options: Any) -> dict[str, Any]:
        """The first pool's VM of that number, to the other pool; the report of a migration that went well."""
        return await self.ended(await begin(self.client, self.site, vm, **options))

    async def ended(self, migration: str) -> dict[str, Any]:
        """Its report, once it has ended well."""
        while True:
            report: dict[str, Any] = await self.client.call("warmMigration.get", id=migration)
            if report["finished"] is not None:
                break
            await asyncio.sleep(0.1)
        warnings = [each for each in report["warnings"] if each["code"] != OF_SIMULATED_POOLS]
        if report["phase"] != "done" or warnings:
            raise RuntimeError(f"the migration is {report['phase']}: {report['error']}, {warnings}")
        return report


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Serving]:
    """A new server with a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="xo-warmig-bench-") as directory, served(Path(directory)) as server:
        server.start()
        await asyncio.to_thread(server.answers)
        async with server.client() as client:
            await add_pools(client, site)
            yield Serving(site, server, client)


async def add_pools(client: Client, site: Site) -> None:
    """And see them connected."""
    for pool in site.pools:
        named = {"host": pool.url, "username": pool.username, "password": pool.password}
        await client.call("server.add", allowUnauthorized=True, **named)
    await connected(client)


async def connected(client: Client) -> None:
    """To all pools."""
    while any(each["status"] != "connected" for each in await client.call("server.getAll")):
        await asyncio.sleep(0.05)


async def begin(client: Client, site: Site, vm: int, **options: Any) -> str:
    """Start one; its id."""
    asked = {"vm": site.pools[0].vms[vm].uuid, "sr": site.pools[1].srs[0].uuid}
    flags = {"startDestinationVm": False, "deleteSourceVm": False}
    return str(await client.call("warmMigration.start", **(asked | flags | options)))
