"""The server held against the checks that a real xo-server passed."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.scenarios.conftest import Worlds, add_pools, served_apart
from tests.scenarios.waiting import ended
from xo_warmig.client import Client

SCRIPT = Path(__file__).parents[1] / "conformance" / "xo_conformance.py"


async def run(*arguments: str) -> str:
    """What the script prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode()


async def conforms(client: Client, url: str, vm: str, sr: str) -> None:
    """Every check holds at ``url``, with a whole migration as the last one. ``client``: of the server that signs users in."""
    names = set((await run("--list", "http://unused")).split())
    await client.call("user.create", email="conformance", password="pw", permission="admin")
    output = await run(url, "--email", "conformance", "--password", "pw", "--migrate", vm, sr)
    results: dict[str, set[str]] = {"ok": set(), "skip": set(), "FAIL": set()}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in results:
            results[word].add(rest.split()[0])
    assert results == {"ok": names, "skip": set(), "FAIL": set()}, output


@pytest.mark.timeout(150)
async def test_our_server_passes_what_a_real_one_passes(worlds: Worlds) -> None:
    """By itself."""
    async with worlds() as world:
        await conforms(world.client, world.client.url, world.vm, world.sr)


@pytest.mark.timeout(200)
async def test_a_gateway_passes_what_a_real_one_passes(worlds: Worlds, tmp_path: Path) -> None:
    """Before another server of ours, which signs users in and shows the pools' objects."""
    async with (
        served_apart(tmp_path / "upstream") as upstream,
        worlds(upstream=upstream.client.url) as world,
    ):
        await add_pools(upstream.client, world.site)
        await conforms(upstream.client, world.client.url, world.vm, world.sr)
        assert (await ended(world))["phase"] == "done"
        assert len(await world.client.call("warmMigration.list")) == 1
        assert await upstream.client.call("warmMigration.list") == []
