"""JSON-RPC's framing, checked from node with the libraries that Xen Orchestra's own server and clients are made of."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.clients.conftest import HERE, served
from tests.pools import start_site, tiny_vm
from xo_warmig.simulator.site import PoolConfig, SiteConfig

Node = Callable[..., Awaitable[dict[str, Any]]]


async def test_frames_are_as_xo_s_libraries_want_them(node: Node, tmp_path: Path) -> None:
    """Ids, errors, notifications, batches, JSON-RPC 1.0, malformed frames and closed sockets, against a server with pools."""
    pools = [
        PoolConfig(name="intel", vms=[tiny_vm("web-1")]),
        PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2),
    ]
    with start_site(SiteConfig(pools=pools)) as site:
        async with served(tmp_path, site) as server:
            url = server.url.replace("http", "ws", 1) + "/api/"
            vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
            told = await node("framing.mjs", url, server.token, server.email, vm, sr)
    checks = re.findall(r"^  async '(.*)'\(\) {$", (HERE / "framing.mjs").read_text(), re.MULTILINE)
    assert told["held"] == checks
