"""Interfaces on the wire: their addresses, and what becomes of them while a VM is copied."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.pools import XapiSession
from xo_warmig.client import CallFailed
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, VmConfig

World = Any
Worlds = Callable[..., Any]
COLD = VmConfig(name_label="cold", power_state="Halted", disks=[DiskConfig(size_bytes=8 * MIB)])


def interfaces(pool: Pool, vm: str) -> list[dict[str, Any]]:
    """The records of a VM's VIFs in the order of their devices, each with its ``seed``, that of the VM."""
    session = XapiSession(pool)
    ref = session.call("VM.get_by_uuid", vm)
    seed = session.call("VM.get_other_config", ref).get("mac_seed")
    records = [session.call("VIF.get_record", vif) for vif in session.call("VM.get_VIFs", ref)]
    return [record | {"seed": seed} for record in sorted(records, key=lambda record: int(record["device"]))]


async def both(world: World, target_vm: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those of the source and those of the target."""
    source = await asyncio.to_thread(interfaces, world.source, world.vm)
    return source, await asyncio.to_thread(interfaces, world.target, target_vm)


async def test_new_addresses_are_the_target_pool_s_own(worlds: Worlds) -> None:
    """Neither the source's address nor the seed of it is on the target; the plan says so beforehand."""
    async with worlds(vms=[COLD]) as world:
        asked = {"sr": world.sr, "startDestinationVm": False, "deleteSourceVm": False, "macAddresses": "new"}
        plan = await world.client.call("warmMigration.plan", vm=world.vm, **asked)
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
