"""The server under Xen Orchestra's own client library, and under a strict double of its newest release."""

import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Node, served
from tests.pools import start_site, tiny_vm
from tests.scenarios.test_joining import standing
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import PoolConfig, SiteConfig

Run = Callable[..., Awaitable[dict[str, Any]]]
SignedIn = Callable[[Pool], AbstractContextManager[Any]]

TARGET = PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2)


@pytest.mark.parametrize("client", ["double", "xo-lib"])
async def test_a_warm_migration_from_node(node: Run, xenapi: SignedIn, tmp_path: Path, client: str) -> None:
    """Sign in, mistakes, vm.warmMigration, notifications until the result; no frame of it all that the double refuses."""
    source = PoolConfig(name="intel", vms=[tiny_vm("web-1")])
    with start_site(SiteConfig(pools=[source, TARGET])) as site:
        async with served(tmp_path, site) as server:
            asked = [site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid]
            told = await node("session.mjs", client, server.url, server.email, server.password, *asked)
        with xenapi(site.pools[1]) as session:
            target = session.xenapi.VM.get_by_uuid(told["target"])
            assert session.xenapi.VM.get_power_state(target) == "Running"
            assert session.xenapi.VM.get_name_label(target) == "web-1"
    assert told["phases"][-1] == "done"
    assert {"preparing", "copying", "syncing", "stopping", "finalising", "starting"} <= set(told["phases"])
    if client == "double":
        frames = told["frames"]
        assert (frames["result"], frames["error"]) == (6, 4)
        assert frames["all"] > 10
        assert frames["warmMigration"] > 10


async def test_a_client_that_reconnects_gets_its_answer(node: Node, tmp_path: Path) -> None:
    """The server is stopped in the middle of a pass and started again: the call that failed, made again, joins the migration."""
    pools = [PoolConfig(name="intel", vms=[tiny_vm("web-1")], bandwidth=MIB), TARGET]
    with start_site(SiteConfig(pools=pools, directory=tmp_path / "pools")) as site:
        asked = [site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid]
        async with standing(tmp_path, site) as server:

            async def restart(line: str) -> None:
                assert line == "copying"
                await server.end(signal.SIGTERM)
                await server.start()

            told = await node("reconnecting.mjs", server.access.url, server.access.token, *asked, heard=restart)
    assert (told["migrations"], told["epoch"]) == (1, 2)
    happened = [each for each in told["happened"] if each != "scheduled"]
    assert happened == ["authenticated", "closed", "authenticated"]
    assert "scheduled" in told["happened"]
