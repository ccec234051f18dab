"""Destroying disks and VMs: what was named and nothing else, and gone already is as good as done."""

import asyncio
import logging
import time
from typing import Literal

from xo_warmig.errors import PoolError, PoolUnreachable, SafetyError
from xo_warmig.model.vm import PowerState
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.attachments import read_attachments, release_disk
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.vm_spec import TARGET_ROLE

_RELEASE_SECONDS = 120.0
_TRIES = 3
_FORGOTTEN_SECONDS = 2.0  # a transfer that has ended lets go sooner
_BUSY = frozenset({"VDI_IN_USE", "OTHER_OPERATION_IN_PROGRESS", "SR_BACKEND_FAILURE_24"})
_DESTROY = "destroy"
_OUR_TEXT = "xo_warmig"

log = logging.getLogger(__name__)


async def destroy_disk(calls: Calls, vdi: str) -> None:
    """Destroy a VDI or snapshot, once whatever control domain still holds it has let go.

    A control domain that a restarted toolstack forgot never does by itself: one of ours is taken away from it.

    Raises:
        PoolError: VDI_IN_USE after two minutes, or any other refusal.
    """
    begun = time.monotonic()
    wait_seconds = 0.1
    while (ref := await objects.ref_or_none(calls, "VDI", vdi)) is not None:
        try:
            await tasks.run(calls, "VDI.destroy", ref)
        except PoolError as error:
            # What is gone need not be the disk but something of it that went at the same time: that is looked at again.
            passed = time.monotonic() - begun
            if error.code not in (*_BUSY, *objects.GONE) or passed > _RELEASE_SECONDS:
                raise
            log.info("%s cannot be destroyed yet: %s", vdi, error)
            if passed > _FORGOTTEN_SECONDS and await _is_our_disk(calls, ref, vdi):
                await _release(calls, vdi)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, 5.0)
        else:
            return


async def _is_our_disk(calls: Calls, ref: str, vdi: str) -> bool:
    try:
        return objects.is_ours(await calls.call("VDI.get_other_config", ref), vdi)
    except PoolError as error:
        if error.code in objects.GONE:
            return False
        raise


async def _release(calls: Calls, vdi: str) -> None:
    """Unless a writer really has it, which the pool says by refusing."""
    try:
        await release_disk(calls, vdi)
    except PoolUnreachable:
        raise
    except PoolError as error:
        log.info("%s is not let go of: %s", vdi, error)


async def destroy_vm(calls: Calls, vm: str, vdis: list[str]) -> None:
    """Destroy a halted VM and just these disks (R2), unless another VM has a VBD on one of them.

    Raises:
        SafetyError: it is not halted, or a disk is used elsewhere; nothing was changed.
    """
    await _see_unused(calls, vm, vdis)
    ref = await objects.ref_or_none(calls, "VM", vm)
    if ref is not None:
        await _destroy_halted(calls, vm, ref)
    for vdi in vdis:
        await destroy_disk(calls, vdi)


async def discard_vm(calls: Calls, vm: str) -> None:
    """Destroy a halted target that we made, without its disks.

    Raises:
        SafetyError: it is not halted, or it is none that we made (R8).
    """
    ref = await objects.ref_or_none(calls, "VM", vm)
    if ref is None:
        return
    await _see_made_by_us(calls, vm, ref)
    await _destroy_halted(calls, vm, ref)


async def detach_disk(calls: Calls, vm: str, vdi: str) -> None:
    """Destroy the VBD on a disk of a halted target that we made; without one, or without the disk or the VM, all is done.

    Raises:
        SafetyError: it is not halted, or it is none that we made (R8).
    """
    ref = await objects.ref_or_none(calls, "VM", vm)
    vdi_ref = await objects.ref_or_none(calls, "VDI", vdi)
    if ref is None or vdi_ref is None:
        return
    await _see_made_by_us(calls, vm, ref)
    await _see_halted(calls, vm, ref, "only a halted VM loses a disk", rule="R17")
    for vbd_ref in await calls.call("VM.get_VBDs", ref):
        try:
            if await calls.call("VBD.get_VDI", vbd_ref) == vdi_ref:
                await tasks.run(calls, "VBD.destroy", vbd_ref)
        except PoolError as error:
            if error.code not in objects.GONE:
                raise


async def remove_device(calls: Calls, vm: str, cls: Literal["VIF", "VBD"], device: str) -> None:
    """Destroy the VIF or the CD drive at a position of a halted target that we made; without one all is done.

    Raises:
        SafetyError: it is not halted, or it is none that we made (R8).
    """
    ref = await objects.ref_or_none(calls, "VM", vm)
    if ref is None:
        return
    await _see_made_by_us(calls, vm, ref)
    await _see_halted(calls, vm, ref, "only a halted VM loses a device", rule="R17")
    for device_ref in await calls.call(f"VM.get_{cls}s", ref):
        try:
            record = await calls.call(f"{cls}.get_record", device_ref)
            if record["device" if cls == "VIF" else "userdevice"] == device and record.get("type", "CD") == "CD":
                await tasks.run(calls, f"{cls}.destroy", device_ref)
        except PoolError as error:
            if error.code not in objects.GONE:
                raise


async def _see_made_by_us(calls: Calls, vm: str, ref: str) -> None:
    other_config = await calls.call("VM.get_other_config", ref)
    if not objects.is_ours(other_config, vm, role=TARGET_ROLE):
        raise SafetyError(
            f"the VM {vm} was not made by a migration",
            code="NOT_OURS",
            evidence={"rule": "R8", "vm": vm},
            remedy="change it by hand if it is not wanted as it is",
        )


async def _see_unused(calls: Calls, vm: str, vdis: list[str]) -> None:
    """Destroying a VDI takes the VBDs of every VM on it away with it."""
    used = [
        attachment
        for attachment in await read_attachments(calls, vdis)
        if attachment.vm != vm and not attachment.is_control_domain
    ]
    if used:
        raise SafetyError(
            f"disks of the VM {vm} are also used by {', '.join(sorted({each.vm for each in used}))}",
            code="DISK_SHARED",
            evidence={"rule": "R2", "vm": vm, "disks": sorted({each.vdi for each in used})},
            remedy="detach the disk from the other VM first",
        )


async def _see_halted(calls: Calls, vm: str, ref: str, why: str, *, rule: str) -> None:
    state = await calls.call("VM.get_power_state", ref)
    if state != PowerState.HALTED:
        raise SafetyError(
            f"the VM {vm} is {state}: {why}",
            code="NOT_HALTED",
            evidence={"rule": rule, "vm": vm, "actual": state},
            remedy="find out who started it",
        )


async def _destroy_halted(calls: Calls, vm: str, ref: str) -> None:
    await _see_halted(calls, vm, ref, "only a halted VM is destroyed", rule="R2")
    await _allow_destroying(calls, ref)
    for left in reversed(range(_TRIES)):
        try:
            await tasks.run(calls, "VM.destroy", ref)
            return
        except PoolError as error:
            if error.code not in objects.GONE:
                raise
            if await objects.ref_or_none(calls, "VM", vm) is None:
                return
            if left == 0:
                raise
        await asyncio.sleep(0.1)


async def _allow_destroying(calls: Calls, ref: str) -> None:
    """Only our own block is lifted, and only this one: the VM must not become free to start in between."""
    blocked = dict(await calls.call("VM.get_blocked_operations", ref))
    if blocked.get(_DESTROY, "").startswith(_OUR_TEXT):
        await calls.call("VM.remove_from_blocked_operations", ref, _DESTROY)
