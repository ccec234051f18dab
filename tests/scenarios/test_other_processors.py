"""From Intel to AMD: XAPI refuses to migrate the running VM, and we move it."""

import asyncio
import contextlib
from typing import Any

import pytest

from tests.pools import XapiSession, tiny_vm
from tests.scenarios.conftest import World, Worlds
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended
from xo_warmig.simulator.site import GuestConfig

REFUSED = "VM_INCOMPATIBLE_WITH_THIS_HOST"  # with vm, host and text (reference: xapi.md 4.9)


def migrate_live(world: World, method: str) -> list[Any]:
    """Ask the source's pool to; code and parameters of its refusal, with the references of VM and host for what they must be."""
    here, there = XapiSession(world.source), XapiSession(world.target)
    host = there.call("host.get_by_uuid", world.target.hosts[0].uuid)
    network = there.call("PIF.get_network", there.call("host.get_management_interface", host))
    destination = there.call("host.migrate_receive", host, network, {})
    vm = here.call("VM.get_by_uuid", world.vm)
    sr = there.call("SR.get_by_uuid", world.sr)
    vbds = [here.call("VBD.get_record", vbd) for vbd in here.call("VM.get_VBDs", vm)]
    vdis = {vbd["VDI"]: sr for vbd in vbds if vbd["type"] == "Disk"}
    vifs = dict.fromkeys(here.call("VM.get_VIFs", vm), network)
    with pytest.raises(LookupError) as refusal:
        here.call(method, vm, destination, True, vdis, vifs, {})
    code, refused_vm, refused_host, *text = refusal.value.args
    assert (refused_vm, refused_host) == (vm, host)
    for session in (here, there):
        with contextlib.suppress(LookupError):
            session.call("session.logout")
    return [code, *text]


async def test_a_vm_that_xapi_does_not_migrate_arrives(worlds: Worlds) -> None:
    """For the processor's maker, by the question and by the deed; warm migration starts it on the other, with equal disks."""
    async with worlds([tiny_vm("web-1", guest=GuestConfig(kind="none"))]) as world:
        for method in ("VM.assert_can_migrate", "VM.migrate_send"):
            code, text = await asyncio.to_thread(migrate_live, world, method)
            assert code == REFUSED
            assert "vendor" in text
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Running"

        target = await world.migrate()
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Halted"
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        assert await started_on(world, target) == "AuthenticAMD"
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)


async def started_on(world: World, vm: str) -> str:
    """The maker of the processor that it was last booted on."""
    session = await asyncio.to_thread(XapiSession, world.target)
    ref = await asyncio.to_thread(session.call, "VM.get_by_uuid", vm)
    flags = await asyncio.to_thread(session.call, "VM.get_last_boot_CPU_flags", ref)
    return str(flags["vendor"])
