"""What a VM changes of itself while it runs: read once it is Halted, and put on the target before that starts."""

import msgspec

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Vm, VolatileState
from xo_warmig.xapi import objects, reading
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.records import Origin, metadata_from
from xo_warmig.xapi.vm_spec import AUTO_POWERON, TIME_OFFSET


async def read_again(calls: Calls, origin: Origin, planned: Vm) -> tuple[Vm, VolatileState]:
    """By one reading of its record: the VM with all that is kept there, the rest as planned; and what it changed of itself.

    Interfaces and drives are read, too, where it names others than the planned one. Raises NoSuchObject.
    """
    _, record = await objects.record_of(calls, "VM", planned.uuid)
    vtpms = record.get("VTPMs", [])
    now = msgspec.structs.replace(
        planned,
        name_label=record["name_label"],
        other_config=dict(record["other_config"]),
        ha_restart_priority=record["ha_restart_priority"],
        auto_poweron=record["other_config"].get(AUTO_POWERON) == "true",
        metadata=metadata_from(record, origin),
    )
    if any(set(record.get(field, [])) != set(planned.metadata.get(field, [])) for field in ("VIFs", "VBDs")):
        now = await reading.with_devices(calls, record, now)
    return now, VolatileState(
        nvram=dict(record.get("NVRAM", {})),
        time_offset=record["platform"].get(TIME_OFFSET),
        vtpm_contents=await calls.call("VTPM.get_contents", vtpms[0]) if vtpms else None,
    )


async def against_vtpm_contents(calls: Calls, session: str) -> str:
    """Why what is in a vTPM can neither be read nor written in this session, in words; "" where it can.

    Both calls are for root of the hosts alone, whatever role an account of a directory has (ocaml/idl/datamodel_vtpm.ml of xapi).
    """
    if await calls.call("session.get_is_local_superuser", session):
        return ""
    return (
        "only root of the hosts may read or write them, and the pool's server is connected as an account of a directory"
    )


async def apply_volatile_state(calls: Calls, vm: str, state: VolatileState) -> None:
    """What differs is written.

    Raises:
        PoolError: NO_VTPM when there are contents and nowhere to put them; that of the pool when it is too old for NVRAM, which a VM
            that boots by BIOS may have from earlier, and does not read: there it stays behind.
    """
    ref, record = await objects.record_of(calls, "VM", vm)
    boots_by_it = record.get("HVM_boot_params", {}).get("firmware", "").lower() == "uefi"
    if state.nvram and state.nvram != record.get("NVRAM") and ("NVRAM" in record or boots_by_it):
        await calls.call("VM.set_NVRAM", ref, state.nvram)
    platform = dict(record["platform"])
    if state.time_offset is not None and platform.get(TIME_OFFSET) != state.time_offset:
        await calls.call("VM.set_platform", ref, {**platform, TIME_OFFSET: state.time_offset})
    if state.vtpm_contents:
        await _fill_vtpm(calls, vm, record.get("VTPMs", []), state.vtpm_contents)


async def _fill_vtpm(calls: Calls, vm: str, vtpms: list[str], contents: str) -> None:
    if not vtpms:
        raise PoolError(
            f"the VM {vm} has no vTPM to take the contents of the source's",
            code="NO_VTPM",
            evidence={"vm": vm},
            remedy="migrate to a pool that has vTPMs (XCP-ng 8.3, XenServer 8)",
        )
    await calls.call("VTPM.set_contents", vtpms[0], contents)
