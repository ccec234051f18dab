"""The scripts of examples/, each run as its first lines say."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, Node, Served, served
from tests.pools import XapiSession, control, start_site, tiny_vm
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import PoolConfig, SiteConfig

EXAMPLES = HERE.parents[1] / "examples"
SECONDS = 100
COMMANDS = {".py": sys.executable, ".mjs": "node", ".sh": "bash"}


@contextmanager
def pools() -> Iterator[Site]:
    source, target = PoolConfig(name="intel", vms=[tiny_vm("web-1")]), PoolConfig(name="amd", seed=2)
    with start_site(SiteConfig(pools=[source, target])) as site:
        yield site


@asynccontextmanager
async def running(
    example: str, directory: Path, server: Served, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """In a folder beside the packages that it asks for, as its user would have it."""
    script = shutil.copy(EXAMPLES / example, directory)
    (directory / "node_modules").symlink_to(HERE / "node_modules")
    programs = f"{HERE / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        COMMANDS[Path(example).suffix], script, *arguments,
        env=os.environ | {"XO_WARMIG_URL": server.url, "XO_WARMIG_TOKEN": server.token, "PATH": programs},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


MIGRATING = sorted(path.name for path in EXAMPLES.glob("migrate*"))


@pytest.mark.parametrize("example", MIGRATING)
async def test_an_example_moves_a_vm(node: Node, tmp_path: Path, example: str) -> None:
    """And prints the new one's uuid, after lines about how far it is where it says so; a mistake is told, and is a failure."""
    with pools() as site:
        vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
        async with served(tmp_path, site) as server:
            (tmp_path / "wrong").mkdir()
            async with running(example, tmp_path / "wrong", server, "no-vm", sr) as process:
                output, errors = await asyncio.wait_for(process.communicate(), SECONDS)
                assert process.returncode not in (0, None), output
                assert b"no such VM" in errors
            (tmp_path / "right").mkdir()
            async with running(example, tmp_path / "right", server, vm, sr) as process:
                output, errors = await asyncio.wait_for(process.communicate(), SECONDS)
                assert process.returncode == 0, errors.decode()
        *lines, target = output.decode().splitlines()
        (found,) = control(site.pools[1], "state")["vms"]
    assert (found["uuid"], found["power_state"]) == (target, "Running")
    if "how far it is" in (EXAMPLES / example).read_text():
        assert "web-1: copying, " in "\n".join(lines)
    else:
        assert lines == []


async def test_an_example_watches_the_vms_of_pools(tmp_path: Path) -> None:
    """As they are, and then each as it changes."""
    with pools() as site:
        pool = site.pools[0]
        vm = pool.vms[0].uuid
        async with served(tmp_path, site) as server, running("watch.py", tmp_path, server) as process:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), SECONDS) == f"{vm} Running web-1\n".encode()
            session = XapiSession(pool)
            session.call("VM.set_name_label", session.call("VM.get_by_uuid", vm), "web-2")
            async with asyncio.timeout(SECONDS):
                while await process.stdout.readline() != f"{vm} Running web-2\n".encode():
                    pass


def test_every_example_is_run_and_explained() -> None:
    """By a test above, and by the page beside it."""
    page = (EXAMPLES / "README.md").read_text()
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix in COMMANDS}
    assert names == {*MIGRATING, "watch.py"}
    assert all(f"[{name}]({name})" in page for name in names)
