"""Reading a VM with its surroundings: a few calls that each bring all records of a class, not one for each object."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Network, PowerState, Vm
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.objects import exists
from xo_warmig.xapi.records import (
    Inventory,
    Origin,
    Record,
    cd_drives_from,
    guest_metrics_ref,
    has_tools,
    networks_by_uuid,
    vifs_from,
    vm_from,
)

_NEVER: Final = "19700101"  # the day that XAPI writes where there is no time

_CLASSES: Final = ("VM", "VBD", "VDI", "VIF", "network", "PIF", "SR")


async def read_vm(calls: Calls, origin: Origin, vm: str) -> Vm:
    """Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "VM", vm)
    inventory = Inventory(*await asyncio.gather(*(calls.call(f"{cls}.get_all_records") for cls in _CLASSES)))
    if ref not in inventory.vms:  # destroyed in between
        return await read_vm(calls, origin, vm)
    record = inventory.vms[ref]
    unique = [await calls.call("VTPM.get_is_unique", vtpm) for vtpm in record.get("VTPMs", [])]
    found = vm_from(ref, inventory, origin, await _guest_metrics(calls, record))
    return msgspec.structs.replace(found, vtpm_is_unique=any(unique))


async def with_devices(calls: Calls, record: Record, vm: Vm) -> Vm:
    """The VM with the interfaces and the CD drives that its record names: a call for each, and three for their networks."""
    vbds, vifs = await asyncio.gather(_each(calls, "VBD", record["VBDs"]), _each(calls, "VIF", record["VIFs"]))
    media = [vbd["VDI"] for vbd in vbds.values() if vbd["type"] == "CD" and exists(vbd["VDI"])]
    vdis, networks, pifs = await asyncio.gather(
        _each(calls, "VDI", media),
        _each(calls, "network", sorted({vif["network"] for vif in vifs.values()})),
        calls.call("PIF.get_all_records"),
    )
    return msgspec.structs.replace(
        vm,
        cd_drives=cd_drives_from(vbds.values(), vdis),
        vifs=vifs_from(vifs.values(), networks),
        networks=networks_by_uuid(networks, pifs),
    )


async def _each(calls: Calls, cls: str, refs: Sequence[str]) -> dict[str, dict[str, Any]]:
    return dict(zip(refs, await asyncio.gather(*(calls.call(f"{cls}.get_record", ref) for ref in refs)), strict=True))


async def read_power_state(calls: Calls, vm: str) -> PowerState:
    """Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "VM", vm)
    return PowerState(await calls.call("VM.get_power_state", ref))


async def read_networks(calls: Calls) -> list[Network]:
    """All networks of the pool."""
    networks, pifs = await asyncio.gather(calls.call("network.get_all_records"), calls.call("PIF.get_all_records"))
    return list(networks_by_uuid(networks, pifs).values())


async def is_booted(calls: Calls, vm: str, *, expect_tools: bool) -> bool:
    """Running, and with tools seen where they are expected: starting a VM clears what was known of its tools."""
    record = await calls.call("VM.get_record", await objects.ref_of(calls, "VM", vm))
    if record["power_state"] != PowerState.RUNNING:
        return False
    return not expect_tools or has_tools(await _guest_metrics(calls, record))


async def was_started(calls: Calls, vm: str) -> bool:
    """Whether it ever had a domain: XAPI writes down when that was made and keeps it when the VM halts. True where it says nothing."""
    ref = await calls.call("VM.get_metrics", await objects.ref_of(calls, "VM", vm))
    try:
        begun = str(await calls.call("VM_metrics.get_start_time", ref))
    except PoolError as error:
        if error.code == "HANDLE_INVALID":
            return True
        raise
    return not begun.startswith(_NEVER)


async def _guest_metrics(calls: Calls, record: Record) -> dict[str, Any] | None:
    ref = guest_metrics_ref(record)
    if ref is None:
        return None
    try:
        metrics: dict[str, Any] = await calls.call("VM_guest_metrics.get_record", ref)
    except PoolError as error:
        if error.code == "HANDLE_INVALID":  # the VM stopped in between
            return None
        raise
    return metrics
