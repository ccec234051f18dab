"""Making the target: a VM that cannot start yet, its disks and its devices. Every step finds what an earlier try made."""

import logging
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.model.api_versions import ApiVersion
from xo_warmig.model.bios_strings import SETTABLE_SINCE, own_bios_strings, settable_there, standing_in
from xo_warmig.model.vm import CdDrive, Disk, Vif, Vm
from xo_warmig.xapi import blocking, claims, objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.device_specs import cd_record, disk_role, vbd_record, vdi_record, vif_record
from xo_warmig.xapi.vm_spec import AUTO_POWERON, TARGET_ROLE, vm_record

_HAS_BIOS_STRINGS = "VM_BIOS_STRINGS_ALREADY_SET"

log = logging.getLogger(__name__)


async def create_vm(
    calls: Calls, source: Vm, *, migration: str, epoch: int, blocked: Mapping[str, str], api_version: ApiVersion
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
    own = own_bios_strings(source.metadata.get("bios_strings", {}))
    await _set_bios_strings(calls, ref, own.settable, api_version)
    if source.vtpms and not await calls.call("VM.get_VTPMs", ref):
        await calls.call("VTPM.create", ref, source.vtpm_is_unique)
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


async def create_cd_drive(calls: Calls, vm: str, source: CdDrive) -> None:
    """Give the VM a CD drive as the source has, empty. Raises NoSuchObject."""
    vm_ref = await objects.ref_of(calls, "VM", vm)
    if any(vbd["userdevice"] == source.device and vbd["type"] == "CD" for vbd in await _devices(calls, "VBD", vm_ref)):
        return
    await calls.call("VBD.create", cd_record(source, vm_ref=vm_ref))


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


async def allow_caching(calls: Calls, vm: str, source: Vm) -> None:
    """Of the disks whose sources' pool allows it. Done last: XAPI lets a disk's next attachment go by it. Raises NoSuchObject."""
    cached = {disk.device for disk in source.disks if disk.allow_caching}
    if not cached:
        return
    for vbd in await _devices(calls, "VBD", await objects.ref_of(calls, "VM", vm)):
        if vbd["userdevice"] in cached and not await calls.call("VDI.get_allow_caching", vbd["VDI"]):
            await calls.call("VDI.set_allow_caching", vbd["VDI"], True)


async def _devices(calls: Calls, cls: str, vm_ref: str) -> list[dict[str, Any]]:
    return [await calls.call(f"{cls}.get_record", ref) for ref in await calls.call(f"VM.get_{cls}s", vm_ref)]


async def _set_bios_strings(calls: Calls, ref: str, own: Mapping[str, str], api_version: ApiVersion) -> None:
    """Once only. Before 7.3 a host of the same maker lends its own, if there is one; the plan says what is lost."""
    given = settable_there(own, api_version)
    try:
        if given:
            await calls.call("VM.set_bios_strings", ref, given)
        elif own and api_version < SETTABLE_SINCE:
            await _copy_bios_strings(calls, ref, own)
    except PoolError as error:
        if error.code != _HAS_BIOS_STRINGS:
            raise
        log.debug("an earlier try has set the BIOS strings: %s", error)


async def _copy_bios_strings(calls: Calls, ref: str, own: Mapping[str, str]) -> None:
    """XAPI makes that host the VM's home, too."""
    hosts = {host["uuid"]: (each, host) for each, host in (await calls.call("host.get_all_records")).items()}
    lender = standing_in(own, {uuid: host["bios_strings"] for uuid, (_, host) in hosts.items()})
    if lender is not None:
        await calls.call("VM.copy_bios_strings", ref, hosts[lender][0])
