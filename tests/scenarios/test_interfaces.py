"""Interfaces on the wire: their addresses, and what becomes of them while a VM is copied."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import XapiSession
from tests.scenarios.conftest import small_vm
from tests.scenarios.waiting import until_phase
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
COLD = VmConfig(name_label="cold", power_state="Halted", disks=[DiskConfig(size_bytes=8 * MIB)])


def interfaces(pool: Pool, vm: str) -> list[dict[str, Any]]:
    """The records of a VM's VIFs in the order of their devices, each with the VM's ``seed`` and its ``network_name``."""
    session = XapiSession(pool)
    ref = session.call("VM.get_by_uuid", vm)
    seed = session.call("VM.get_other_config", ref).get("mac_seed")
    records = [session.call("VIF.get_record", vif) for vif in session.call("VM.get_VIFs", ref)]
    names = [session.call("network.get_name_label", record["network"]) for record in records]
    found = [record | {"seed": seed, "network_name": name} for record, name in zip(records, names, strict=True)]
    return sorted(found, key=lambda record: int(record["device"]))


async def both(world: World, target_vm: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those of the source and those of the target."""
    source = await asyncio.to_thread(interfaces, world.source, world.vm)
    return source, await asyncio.to_thread(interfaces, world.target, target_vm)


async def test_new_addresses_are_the_target_pool_s_own(worlds: Worlds) -> None:
    """Neither the source's address nor the seed of it is on the target; the plan says so beforehand."""
    async with worlds(vms=[COLD]) as world:
        asked = {"startDestinationVm": False, "macAddresses": "new"}
        plan = await world.plan(**asked)
        assert [vif["targetMac"] for vif in plan["vifs"]] == [""]
        assert "MAC_CHANGES" in {finding["code"] for finding in plan["findings"]}
        (before,), (after,) = await both(world, await world.migrate(**asked))
        assert after["MAC"] != before["MAC"]
        assert after["seed"] not in (None, before["seed"])


async def test_an_address_that_was_chosen(worlds: Worlds) -> None:
    """Is on the target; a text that is none is refused under its parameter's name."""
    async with worlds(vms=[COLD]) as world:
        (vif,) = await asyncio.to_thread(interfaces, world.source, world.vm)
        with pytest.raises(CallFailed) as refused:
            await world.migrate(macAddresses={vif["uuid"]: "none"}, startDestinationVm=False)
        assert refused.value.rpc_code == 10
        assert "/macAddresses" in refused.value.data["errors"][0]["instancePath"]
        target_vm = await world.migrate(macAddresses={vif["uuid"]: "02:16:3E:00:00:09"}, startDestinationVm=False)
        (before,), (after,) = await both(world, target_vm)
        assert (after["MAC"], after["seed"]) == ("02:16:3e:00:00:09", before["seed"])


def change_devices(world: World) -> None:
    """Another interface, on a network that both pools have; the first one locked; a drive more."""
    dmz = {"name_label": "dmz", "name_description": "", "other_config": {}, "MTU": "1500", "tags": []}
    XapiSession(world.target).call("network.create", dmz)
    session = XapiSession(world.source)
    vm, network = session.call("VM.get_by_uuid", world.vm), session.call("network.create", dmz)
    (first,) = session.call("VM.get_VIFs", vm)
    session.call("VIF.set_locking_mode", first, "locked")
    session.call("VIF.add_ipv4_allowed", first, "192.0.2.7")
    qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}
    vif = {"device": "1", "network": network, "VM": vm, "MAC": "02:16:3e:00:00:07", "MTU": "1500", **qos}
    session.call("VIF.create", vif)
    devices = session.call("VM.get_allowed_VBD_devices", vm)
    drive = {
        "VM": vm,
        "VDI": "OpaqueRef:NULL",
        "userdevice": devices[-1],
        "bootable": False,
        "mode": "RO",
        "type": "CD",
    }
    session.call("VBD.create", {**drive, "unpluggable": True, "empty": True, **qos})


async def test_what_is_changed_during_the_copy_is_on_the_target(worlds: Worlds) -> None:
    """An interface that was added on its network, one that was locked with its addresses, a drive; and it is told."""
    async with worlds(vms=[small_vm(guest=GuestConfig(kind="none"))]) as world:
        moving = asyncio.ensure_future(world.migrate(cutover="hold", startDestinationVm=False))
        try:
            report = await until_phase(world, "holding")
            await asyncio.to_thread(change_devices, world)
            await world.client.call("warmMigration.cutover", id=report["id"])
        finally:
            target_vm = await moving
        before, after = await both(world, target_vm)
        fields = ("device", "MAC", "locking_mode", "ipv4_allowed")
        assert [[vif[each] for each in fields] for vif in after] == [[vif[each] for each in fields] for vif in before]
        assert after[1]["network_name"] == "dmz"
        assert "SOURCE_CHANGED" in [warning["code"] for warning in (await world.last_report())["warnings"]]
        drives = [
            [vbd["userdevice"] for vbd in (await world.vm_of(pool, vm))["vbds"] if vbd["type"] == "CD"]
            for pool, vm in ((world.source, world.vm), (world.target, target_vm))
        ]
        assert drives[0] == drives[1] != []
