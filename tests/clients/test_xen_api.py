"""The simulator under the XAPI clients of others: PyPI's XenAPI and npm's xen-api."""

import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import XenAPI

from tests.pools import start_site
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig

Node = Callable[..., Awaitable[dict[str, Any]]]
SignedIn = Callable[[Pool], AbstractContextManager[Any]]


SITE = SiteConfig(
    pools=[
        PoolConfig(
            name="pool",
            vms=[VmConfig(name_label="web-1", disks=[DiskConfig(size_bytes=64 * MIB, allocated_bytes=8 * MIB)])],
        )
    ]
)


async def test_xen_api_of_npm(node: Node, xenapi: SignedIn) -> None:
    """Sign-in, an object cache kept by events, asynchronous calls, a VDI exported and imported."""
    with start_site(SITE) as site, xenapi(site.pools[0]) as session:
        pool = site.pools[0]
        vm = session.xenapi.VM.get_by_uuid(pool.vms[0].uuid)
        disks = [b for b in session.xenapi.VBD.get_all_records().values() if b["VM"] == vm and b["type"] == "Disk"]
        vdi = session.xenapi.VDI.get_uuid(disks[0]["VDI"])
        before = session.xenapi.VDI.get_all()
        told = await node("xen_api.mjs", pool.url, pool.username, pool.password, pool.srs[0].uuid, vdi)
        assert told["vhdMebibytes"] > 0
        # A base copy may be left: the garbage collector takes it later, as on a real pool.
        left = set(session.xenapi.VDI.get_all()) - set(before)
        assert all(session.xenapi.VDI.get_name_label(ref) == "base copy" for ref in left)


def test_xenapi_of_pypi(xenapi: SignedIn) -> None:
    """What a script of an administrator does: list, snapshot asynchronously, export, clean up; and failures with their details."""
    with start_site(SITE) as site, xenapi(site.pools[0]) as session:
        pool = site.pools[0]
        api = session.xenapi
        vm = api.VM.get_by_uuid(pool.vms[0].uuid)
        task = api.Async.VM.snapshot(vm, "by a script")
        while api.task.get_status(task) == "pending":
            pass
        snapshot = api.task.get_result(task).removeprefix("<value>").removesuffix("</value>")
        disks = [api.VBD.get_VDI(b) for b in api.VM.get_VBDs(snapshot) if api.VBD.get_type(b) == "Disk"]
        query = urllib.parse.urlencode({"session_id": session.handle, "vdi": disks[0], "format": "vhd"})
        with urllib.request.urlopen(f"{pool.url}/export_raw_vdi?{query}") as response:
            assert response.read(8) == b"conectix"
            while response.read(1 << 20):
                pass
        with pytest.raises(XenAPI.Failure) as failure:
            api.VM.start(vm, False, False)
        assert failure.value.details == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
        api.VM.destroy(snapshot)
