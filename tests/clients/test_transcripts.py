"""What xo-cli and a server say to each other, replayed frame by frame against ours."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.clients.conftest import served
from tests.pools import control, start_site, tiny_vm
from xo_warmig.simulator.site import PoolConfig, SiteConfig

Node = Callable[..., Awaitable[dict[str, Any]]]

NO_MEMORY = ["HOST_NOT_ENOUGH_FREE_MEMORY", "4", "2"]


async def test_what_xo_cli_hears_is_what_it_expects(node: Node, tmp_path: Path) -> None:
    """Registering, listing, what goes wrong, and a migration whose answer is the target's uuid."""
    source = PoolConfig(name="intel", vms=[tiny_vm("web-1"), tiny_vm("spare", power_state="Halted")])
    with start_site(SiteConfig(pools=[source, PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2)])) as site:
        control(site.pools[0], "faults", kind="fail", match="VM.start*", error=NO_MEMORY)
        web, spare = site.pools[0].vms
        async with served(tmp_path, site) as server:
            named = {"EMAIL": server.email, "PASSWORD": server.password, "VM": web.uuid, "SPARE": spare.uuid}
            named["SR"] = site.pools[1].srs[0].uuid
            url = server.url.replace("http", "ws", 1) + "/api/"
            told = await node("transcript.mjs", url, *(f"{name}={value}" for name, value in named.items()))
        vms = control(site.pools[1], "state")["vms"]
    transcripts = (Path(__file__).parent / "transcripts.txt").read_text()
    assert told["frames"] == sum(line.startswith(("> ", "< ")) for line in transcripts.splitlines())
    assert [(vm["uuid"], vm["power_state"]) for vm in vms] == [(told["names"]["TARGET"], "Running")]
