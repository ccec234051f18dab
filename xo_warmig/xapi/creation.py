"""Making the target: a VM that cannot start yet, its disks and its devices. Every step finds what an earlier try made."""

import logging
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Disk, Vif, Vm
from xo_warmig.xapi import blocking, claims, objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.device_specs import cd_record, disk_role, vbd_record, vdi_record, vif_record
from xo_warmig.xapi.vm_spec import AUTO_POWERON, TARGET_ROLE, bios_strings_for, vm_record

_NO_BIOS_STRINGS = frozenset({"VM_BIOS_STRINGS_ALREADY_SET", "MESSAGE_METHOD_UNKNOWN"})

log = logging.getLogger(__name__)


async def create_vm(
    calls: Calls, source: Vm, *, migration: str, epoch: int, blocked: Mapping[str, str], api_version: tuple[int, int]
) -> str:
    """Made as a template, then blocked, then made a VM: so it cannot start at any moment (R1). The uuid."""
    uuid = await claims.find(calls, "VM", migration=migration, role=TARGET_ROLE)
    if uuid is None:
        record = vm_record(source, migration=migration, epoch=epoch, api_version=api_version)
        ref = await calls.call("VM.create", record)
        uuid = await claims.claim(calls, "VM", ref)
    else:
        ref = await objects.ref_of(calls, "VM", uuid)
    await blocking.block(calls, uuid, blocked)
    if await calls.call("VM.get_is_a_template", ref):
        await calls.call("VM.set_is_a_template", ref, False)
    await _set_bios_strings(calls, ref, bios_strings_for(source.metadata))
    if source.vtpms and not await calls.call("VM.get_VTPMs", ref):
        await calls.call("VTPM.create", ref, False)
    return uuid


async def create_disk(calls: Calls, source: Disk, *, sr: str, migration: str, epoch: int) -> str:
    """An empty VDI of the source's size and names; the uuid. Raises NoSuchObject for the SR."""
    sr_ref = await objects.ref_of(calls, "SR", sr)
    found = await claims.find(calls, "VDI", migration=migration, role=disk_role(source))
    if found is not None:
        return found
    record = vdi_record(source, sr_ref=sr_ref, migration=migration, epoch=epoch)
    return await claims.claim(calls, "VDI", await tasks.run(calls, "VDI.create", record))


async def attach_disk(calls: Calls, vm: str, vdi: str, source: Disk) -> None:
    """Give the VM a VBD on the disk, as the source has. Raises NoSuchObject."""
    vm_ref = await objects.ref_of(calls, "VM", vm)
    vdi_ref = await objects.ref_of(calls, "VDI", vdi)
    if any(vbd["VDI"] == vdi_ref for vbd in await _devices(calls, "VBD", vm_ref)):
        return
    await calls.call("VBD.create", vbd_record(source, vm_ref=vm_ref, vdi_ref=vdi_ref))


async def create_cd_drive(calls: Calls, vm: str, device: str) -> None:
    """Give the VM an empty CD drive. Raises NoSuchObject."""
    vm_ref = await objects.ref_of(calls, "VM", vm)
    if any(vbd["userdevice"] == device and vbd["type"] == "CD" for vbd in await _devices(calls, "VBD", vm_ref)):
        return
    await calls.call("VBD.create", cd_record(vm_ref=vm_ref, device=device))


async def create_vif(calls: Calls, vm: str, source: Vif, *, network: str) -> None:
    """Give the VM a VIF with the source's device, MAC ("": XAPI makes one of the VM's seed) and settings. Raises NoSuchObject."""
    vm_ref = await objects.ref_of(calls, "VM", vm)
    network_ref = await objects.ref_of(calls, "network", network)
    for vif in await _devices(calls, "VIF", vm_ref):
        same_address = source.mac in ("", vif["MAC"])
        if vif["device"] == source.device and same_address and vif["network"] == network_ref:
            return
    await calls.call("VIF.create", vif_record(source, vm_ref=vm_ref, network_ref=network_ref))


async def restore_ha(calls: Calls, vm: str, source: Vm) -> None:
    """HA and auto-power-on as on the source (R13). Raises NoSuchObject."""
    ref = await objects.ref_of(calls, "VM", vm)
    record = await calls.call("VM.get_record", ref)
    if record["ha_restart_priority"] != source.ha_restart_priority:
        await calls.call("VM.set_ha_restart_priority", ref, source.ha_restart_priority)
    if AUTO_POWERON in source.other_config and AUTO_POWERON not in record["other_config"]:
        await calls.call("VM.add_to_other_config", ref, AUTO_POWERON, source.other_config[AUTO_POWERON])


async def _devices(calls: Calls, cls: str, vm_ref: str) -> list[dict[str, Any]]:
    return [await calls.call(f"{cls}.get_record", ref) for ref in await calls.call(f"VM.get_{cls}s", vm_ref)]


async def _set_bios_strings(calls: Calls, ref: str, strings: Mapping[str, str]) -> None:
    """They can be set once only, and not at all before 7.3: there the target keeps its host's generic ones."""
    if not strings:
        return
    try:
        await calls.call("VM.set_bios_strings", ref, dict(strings))
    except PoolError as error:
        if error.code not in _NO_BIOS_STRINGS:
            raise
        log.warning("the BIOS strings of the source stay behind: %s", error)
