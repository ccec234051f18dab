"""Certificates of a pool's hosts, beyond a restart of the server: of a release whose master does not tell them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pools import start_site, tiny_vm
from tests.scenarios.conftest import Served, add_pools, asked_of, served_here
from tests.scenarios.waiting import until_connected
from tests.xapi.test_members_over_tls import give_other_certificate, shown_by
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig

SECOND_HOST, ITS_SR = 1, 2


def pools() -> list[PoolConfig]:
    disks = [DiskConfig(size_bytes=4 * MIB, allocated_bytes=2 * MIB, sr=ITS_SR)]
    vms = [tiny_vm(name, disks=disks, guest=GuestConfig(kind="none")) for name in ("first", "second")]
    old = PoolConfig(name="old", release="7.6", https=True, hosts=2, vms=vms)
    return [old, PoolConfig(name="new", https=True, seed=2)]


@asynccontextmanager
async def served(state_dir: Path) -> AsyncIterator[Served]:
    """Started, and connected to whatever it knows."""
    async with served_here(state_dir) as server:
        await until_connected(server.client)
        yield server


async def migrate(server: Served, site: Site, vm: int) -> Any:
    asked = asked_of(site, vm=site.pools[0].vms[vm].uuid, startDestinationVm=False)
    return await server.client.call("vm.warmMigration", **asked)


async def test_a_host_that_shows_another_certificate_after_a_restart_is_refused(tmp_path: Path) -> None:
    """With both fingerprints; the VM runs on. Removed and added again the server is believed anew."""
    with start_site(SiteConfig(pools=pools())) as site:
        old = site.pools[0]
        async with served(tmp_path) as server:
            await add_pools(server.client, site)
            await migrate(server, site, 0)
        before = shown_by(old, SECOND_HOST)
        give_other_certificate(old, SECOND_HOST)  # while nothing else runs
        async with served(tmp_path) as server:
            with pytest.raises(CallFailed) as refused:
                await migrate(server, site, 1)
            assert refused.value.code == "CERTIFICATE_CHANGED"
            evidence = refused.value.data["evidence"]
            assert (evidence["pinned"], evidence["seen"]) == (before, shown_by(old, SECOND_HOST))
            assert evidence["host"] == old.hosts[SECOND_HOST].address
            (known,) = [each["id"] for each in await server.client.call("server.getAll") if each["host"] == old.url]
            await server.client.call("server.remove", id=known)
            added = {"host": old.url, "username": old.username, "password": old.password, "allowUnauthorized": True}
            await server.client.call("server.add", **added)
            await until_connected(server.client)
            await migrate(server, site, 1)
