"""Two that write, on the wire: an import that outlives its server, and a second server on the same pools (R16)."""

import asyncio
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.pools import XapiSession, control, start_site
from tests.scenarios.conftest import asked_of
from tests.scenarios.test_joining import BANDWIDTH, large_vm, standing, until_copying
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import PoolConfig, SiteConfig

_SECONDS = 90.0


def a_site(directory: Path) -> Any:
    pools = [
        PoolConfig(name="intel", vms=[large_vm()], bandwidth=BANDWIDTH),
        PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2),
    ]
    return start_site(SiteConfig(pools=pools, directory=directory / "pools"))


class Writer:
    """An import that nobody ends: what a dead server had sent may arrive for as long as it stands."""

    def __init__(self, pool: Pool, vdi: str) -> None:
        session = XapiSession(pool)
        asked = {
            "session_id": session.reference,
            "vdi": session.call("VDI.get_by_uuid", vdi),
            "format": "raw",
            "chunked": "1",
        }
        url = urlsplit(pool.url)
        self._socket = socket.create_connection((url.hostname, url.port), timeout=20)
        self._socket.sendall(f"PUT /import_raw_vdi?{urlencode(asked)} HTTP/1.0\r\n\r\n".encode())
        answer = self._socket.recv(4096)
        if b" 200 " not in answer.splitlines()[0]:
            raise ConnectionRefusedError(answer)

    def write(self, offset: int, data: bytes) -> None:
        self._socket.sendall(struct.pack("<QI", offset, len(data)) + data)

    def close(self) -> None:
        self._socket.close()


async def writer_on(pool: Pool, vdi: str) -> Writer:
    """As soon as the killed server's own import is over."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await asyncio.to_thread(Writer, pool, vdi)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def state_of(pool: Pool, query: str = "") -> dict[str, Any]:
    told: dict[str, Any] = await asyncio.to_thread(control, pool, f"state{query}")
    return told


async def hash_of(pool: Pool, vm: str) -> list[str]:
    """Of the VM's only disk."""
    state = await state_of(pool, "?hash=1")
    (found,) = [each for each in state["vms"] if each["uuid"] == vm]
    mine = {vbd["vdi"] for vbd in found["vbds"] if vbd["type"] == "Disk"}
    return [each["hash"] for each in state["vdis"] if each["uuid"] in mine]


async def test_a_server_goes_on_with_a_clone(tmp_path: Path) -> None:
    """Where the old writer does not let go; what it still writes is not in the target. Its disk is listed, and swept when it is free."""
    with a_site(tmp_path) as site:
        source, target = site.pools
        asked = asked_of(site, startDestinationVm=False)
        async with standing(tmp_path, site) as server:
            calling = asyncio.ensure_future(server.persist("vm.warmMigration", **asked))
            migration = await until_copying(server)
            async with server.client() as client:
                report = await client.call("warmMigration.get", id=migration)
            old = report["currentPass"]["disks"][0]["targetVdi"]
            await server.end(signal.SIGKILL)
            writer = await writer_on(target, old)
            try:
                await server.start()
                await asyncio.sleep(1)
                writer.write(8 * MIB, b"old" * MIB)
                copy = await asyncio.wait_for(calling, _SECONDS)
                async with server.client() as client:
                    report = await client.call("warmMigration.get", id=migration)
                    assert report["phase"] == "done"
                    assert "DISK_REPLACED" in {each["code"] for each in report["warnings"]}
                    assert await hash_of(source, asked["vm"]) == await hash_of(target, copy)
                    assert old in {each["uuid"] for each in (await state_of(target))["vdis"]}
                    writer.close()
                    await until_free(target)
                    swept = await client.call("warmMigration.sweep", remove=True)
            finally:
                writer.close()
            assert [(each["object"]["uuid"], each["removed"]) for each in swept["objects"]] == [(old, True)]
            state = await state_of(target)
            (vm,) = [each for each in state["vms"] if each["uuid"] == copy]
            assert {each["uuid"] for each in state["vdis"] if each["managed"]} == {
                each["vdi"] for each in vm["vbds"] if each["type"] == "Disk"
            }


async def until_free(pool: Pool) -> None:
    async with asyncio.timeout(20):
        while (await state_of(pool))["dom0_vbds"]:
            await asyncio.sleep(0.1)


async def test_of_two_servers_one_has_the_vm(tmp_path: Path) -> None:
    """The other one is refused before it touches anything, and the first one's migration does not notice."""
    with a_site(tmp_path) as site:
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        asked = asked_of(site)
        async with standing(tmp_path / "first", site) as first, standing(tmp_path / "second", site) as second:
            calling = asyncio.ensure_future(first.persist("vm.warmMigration", **asked))
            await until_copying(first)
            session = XapiSession(site.pools[0])
            vm = session.call("VM.get_by_uuid", asked["vm"])
            before = session.call("VM.get_other_config", vm)
            assert "xo_warmig:door" in before
            async with second.client() as client:
                with pytest.raises(CallFailed) as refused:
                    await client.call("vm.warmMigration", **asked)
                assert refused.value.code == "SOURCE_CLAIMED"
                assert await client.call("warmMigration.list") == []
            assert session.call("VM.get_other_config", vm) == before
            copy = await asyncio.wait_for(calling, _SECONDS)
            targets = [vm["uuid"] for vm in (await state_of(site.pools[1]))["vms"] if vm["name_label"] == "db"]
            assert targets == [copy]
