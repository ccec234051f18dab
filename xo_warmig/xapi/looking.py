"""A look at one VM by three small calls in two rounds: what is checked between the steps of a cutover, inside the downtime."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Look, PowerState
from xo_warmig.xapi import objects
from xo_warmig.xapi.attachments import Owners, attachments_from, owner_from
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.filters import records_with


async def look(calls: Calls, vm: str, vdis: Sequence[str], owners: Owners) -> Look:
    """See ``model.vm.Look``. Disks of the VM that are not among ``vdis`` cost a call each.

    ``owners``: known VMs; those that are met are added. Raises NoSuchObject.
    """
    found, disks = await asyncio.gather(objects.record_of(calls, "VM", vm), records_with(calls, "VDI", uuid=vdis))
    ref, record = found
    owners[ref] = owner_from(record)
    vbds = await records_with(calls, "VBD", VM=[ref], VDI=disks)
    own = {vbd["VDI"] for vbd in vbds.values() if vbd["VM"] == ref and vbd["type"] == "Disk"}
    attachments, others = await asyncio.gather(
        attachments_from(calls, disks, vbds, owners), _records_of(calls, sorted(own - disks.keys()))
    )
    return Look(
        uuid=record["uuid"],
        power_state=PowerState(record["power_state"]),
        current_operations=sorted(record["current_operations"].values()),
        blocked_operations=dict(record["blocked_operations"]),
        other_config=dict(record["other_config"]),
        disks={disk["uuid"]: int(disk["virtual_size"]) for at, disk in (disks | others).items() if at in own},
        attachments=attachments,
    )


async def _records_of(calls: Calls, vdi_refs: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Of those that are there: a VBD may outlive its disk."""
    found = await asyncio.gather(*(_record_or_none(calls, ref) for ref in vdi_refs))
    return {ref: record for ref, record in zip(vdi_refs, found, strict=True) if record is not None}


async def _record_or_none(calls: Calls, vdi_ref: str) -> Mapping[str, Any] | None:
    try:
        record: Mapping[str, Any] = await calls.call("VDI.get_record", vdi_ref)
    except PoolError as error:
        if error.code == "HANDLE_INVALID":
            return None
        raise
    return record
