"""The server held against the checks that a real xo-server passed."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "conformance" / "xo_conformance.py"


async def run(*arguments: str) -> str:
    """What the script prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode()


@pytest.mark.timeout(150)
async def test_our_server_passes_what_a_real_one_passes(worlds: Any) -> None:
    """Every check, with a whole migration as the last one."""
    names = set((await run("--list", "http://unused")).split())
    async with worlds() as world:
        await world.client.call("user.create", email="conformance", password="pw", permission="admin")
        vm, sr = world.site.pools[0].vms[0].uuid, world.site.pools[1].srs[0].uuid
        output = await run(world.client.url, "--email", "conformance", "--password", "pw", "--migrate", vm, sr)
    results: dict[str, set[str]] = {"ok": set(), "skip": set(), "FAIL": set()}
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in results:
            results[word].add(rest.split()[0])
    assert results == {"ok": names, "skip": set(), "FAIL": set()}, output
