"""Snapshots of VMs that a user asks for, and VMs that a user deletes, as XO does it (@xen-orchestra/xapi, vm.mjs)."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import ForbiddenOperation, IncorrectState, PoolError, WarmigError
from xo_warmig.model.vm import PowerState
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.holds import see_free

_DESTROY = "destroy"
_DEFAULT_TEMPLATE = "default_template"
_NEWER_THAN_POOL = "MESSAGE_METHOD_UNKNOWN"

log = logging.getLogger(__name__)


async def take_snapshot(
    calls: Calls, ref: str, record: Mapping[str, Any], *, name: str | None, description: str | None, memory: bool
) -> str:
    """The snapshot's uuid. A halted VM has no memory to keep."""
    named = name or f"{record['name_label']}_{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    running = record["power_state"] in (PowerState.RUNNING, PowerState.PAUSED)
    made = await tasks.run(calls, "VM.checkpoint" if memory and running else "VM.snapshot", ref, named)
    try:
        await calls.call("VM.set_is_a_template", made, False)  # else an export of it would come back as a template
    except PoolError as error:
        if error.code != "LICENSE_RESTRICTION":
            raise
    if description is not None:
        await calls.call("VM.set_name_description", made, description)
    return str(await calls.call("VM.get_uuid", made))


async def delete_vm(
    calls: Calls,
    ref: str,
    record: Mapping[str, Any],
    *,
    disks: bool,
    bypass_blocked: bool,
    even_default_template: bool = False,
) -> None:
    """See ``Vms.delete``. What of its snapshots and disks cannot be destroyed stays, as in XO, and is in the log."""
    _see_deletable(record, bypass_blocked=bypass_blocked, even_default_template=even_default_template)
    if record["power_state"] != PowerState.HALTED:
        await tasks.run(calls, "VM.hard_shutdown", ref)
    if _is_default_template(record):
        await _set_no_default(calls, ref)
    if record["is_a_template"] and not record["is_a_snapshot"]:
        await calls.call("VM.set_is_a_template", ref, False)
    if bypass_blocked and _DESTROY in record["blocked_operations"]:
        await calls.call("VM.remove_from_blocked_operations", ref, _DESTROY)
    own = await _own_disks(calls, ref, record) if disks else []
    see_free(await calls.call("VM.get_record", ref), _DESTROY)  # a migration may have come by meanwhile
    await tasks.run(calls, "VM.destroy", ref)
    await asyncio.gather(
        *(_or_log(_delete_snapshot(calls, each), each) for each in record["snapshots"]),
        *(_or_log(tasks.run(calls, "VDI.destroy", each), each) for each in own),
    )


def _see_deletable(record: Mapping[str, Any], *, bypass_blocked: bool, even_default_template: bool) -> None:
    see_free(record, _DESTROY)
    reason = record["blocked_operations"].get(_DESTROY)
    if reason is not None and not bypass_blocked:
        said = "protected from accidental deletion" if reason == "true" else reason
        raise ForbiddenOperation(
            f"the VM {record['name_label']} may not be deleted: {said}",
            code="OPERATION_BLOCKED",
            evidence={"operation": f"destroy is blocked: {said}", "objectId": record["uuid"]},
            remedy="give forceBlockedOperation, or unblock it with vm.set",
        )
    if _is_default_template(record) and not even_default_template:
        raise IncorrectState(
            f"{record['name_label']} is a template that came with its pool",
            code="DEFAULT_TEMPLATE",
            evidence={"object": record["uuid"], "property": "isDefaultTemplate", "actual": True, "expected": False},
            remedy="give forceDeleteDefaultTemplate",
        )


def _is_default_template(record: Mapping[str, Any]) -> bool:
    """A field since 7.2, a key before and beside it."""
    return record.get("is_default_template") is True or record["other_config"].get(_DEFAULT_TEMPLATE) == "true"


async def _set_no_default(calls: Calls, ref: str) -> None:
    await calls.call("VM.remove_from_other_config", ref, _DEFAULT_TEMPLATE)
    try:
        await calls.call("VM.set_is_default_template", ref, False)
    except PoolError as error:
        if error.code != _NEWER_THAN_POOL:
            raise


async def _own_disks(calls: Calls, ref: str, record: Mapping[str, Any]) -> list[str]:
    """The references of its disks that no other VM has a VBD on."""
    disks = []
    for vbd in await asyncio.gather(*(calls.call("VBD.get_record", each) for each in record["VBDs"])):
        if vbd["type"] == "Disk" and objects.exists(vbd["VDI"]) and not await _is_shared(calls, vbd["VDI"], ref):
            disks.append(vbd["VDI"])
    return disks


async def _is_shared(calls: Calls, vdi: str, vm: str) -> bool:
    for vbd in await calls.call("VDI.get_VBDs", vdi):
        other = await calls.call("VBD.get_VM", vbd)
        if other != vm and not await calls.call("VM.get_is_control_domain", other):
            return True
    return False


async def _delete_snapshot(calls: Calls, ref: str) -> None:
    record = await calls.call("VM.get_record", ref)
    await delete_vm(calls, ref, record, disks=True, bypass_blocked=False)


async def _or_log(work: Any, ref: str) -> None:
    try:
        await work
    except WarmigError as error:
        log.warning("%s stays though its VM was deleted: %s", ref, error)
