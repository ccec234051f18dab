"""The server under npm's jsonrpc-websocket-client, of which Xen Orchestra's own clients are made."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from xo_warmig.app import running
from xo_warmig.client import connect
from xo_warmig.config import Config
from xo_warmig.simulator.launch import Pool, start_site
from xo_warmig.simulator.site import SiteConfig

Node = Callable[..., Awaitable[dict[str, Any]]]
SignedIn = Callable[[Pool], AbstractContextManager[Any]]


async def test_a_warm_migration_from_node(node: Node, xenapi: SignedIn, tmp_path: Path) -> None:
    """Sign in, vm.warmMigration, notifications until the result."""
    password_file = tmp_path / "password"
    password_file.write_text("a password of the test")
    config = Config(port=0, state_dir=tmp_path / "state", admin_password_file=password_file)
    with start_site(SiteConfig()) as site:
        async with running(config) as server:
            async with connect(server.url, token=server.token) as client:
                for pool in site.pools:
                    made = await client.call(
                        "server.add", host=pool.url, username=pool.username, password=pool.password
                    )
                    assert isinstance(made, str)
            url = server.url.replace("http", "ws", 1) + "/api/"
            arguments = [server.administrator, "a password of the test", site.pools[0].vms[0].uuid]
            told = await node("warm_migration.mjs", url, *arguments, site.pools[1].srs[0].uuid)
        with xenapi(site.pools[1]) as session:
            target = session.xenapi.VM.get_by_uuid(told["target"])
            assert session.xenapi.VM.get_power_state(target) == "Running"
            assert session.xenapi.VM.get_name_label(target) == "web-1"
    assert told["phases"][-1] == "done"
    assert {"preparing", "copying", "syncing", "stopping", "finalising", "starting"} <= set(told["phases"])
