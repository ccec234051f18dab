"""Who has a VBD on a disk: read for a few disks by few short calls, as it is asked inside the downtime."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.model.vm import Attachment
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls

_ATTACHING = frozenset({"attach", "plug"})


async def read_attachments(calls: Calls, vdis: list[str]) -> list[Attachment]:
    """All VBDs on these disks, of any VM, snapshots left out. A disk that is gone has none."""
    found = await asyncio.gather(*(_attachments(calls, vdi) for vdi in vdis))
    return [attachment for each in found for attachment in each]


async def wait_until_let_go(
    calls: Calls, vdi_refs: Iterable[str], *, most_seconds: float, first_wait_seconds: float
) -> bool:
    """Wait until no control domain has these disks attached; whether that came true in time.

    The wait between two looks grows with the time that passed, to half a second.
    """
    refs = list(vdi_refs)
    started = time.monotonic()
    while True:
        held = await asyncio.gather(*(is_held(calls, ref) for ref in refs))
        if not any(held):
            return True
        passed = time.monotonic() - started
        if passed >= most_seconds:
            return False
        await asyncio.sleep(min(max(first_wait_seconds, passed / 20), 0.5))


async def release_disk(calls: Calls, vdi: str) -> None:
    """Unplug and destroy the VBDs of control domains on a disk, which a restarted toolstack leaves behind.

    Raises:
        PoolError: DEVICE_DETACH_REJECTED where somebody still holds it open, or any other refusal.
    """
    ref = await objects.ref_or_none(calls, "VDI", vdi)
    if ref is not None:
        await release_vbds(calls, ref)


async def release_vbds(calls: Calls, vdi_ref: str) -> None:
    """The same, by the disk's reference."""
    for vbd, vm in await _vbds_with_vms(calls, vdi_ref):
        if vm["is_control_domain"]:
            await _unless_gone(calls, "VBD.unplug", vbd["ref"])
            await _unless_gone(calls, "VBD.destroy", vbd["ref"])


async def _unless_gone(calls: Calls, method: str, vbd_ref: str) -> None:
    try:
        await tasks.run(calls, method, vbd_ref)
    except PoolError as error:
        if error.code not in {"DEVICE_ALREADY_DETACHED", *objects.GONE}:
            raise


async def _attachments(calls: Calls, vdi: str) -> list[Attachment]:
    ref = await objects.ref_or_none(calls, "VDI", vdi)
    if ref is None:
        return []
    return [
        Attachment(
            vdi=vdi,
            vm=vm["uuid"],
            is_control_domain=vm["is_control_domain"],
            mode=vbd["mode"],
            plugged=is_plugged(vbd),
        )
        for vbd, vm in await _vbds_with_vms(calls, ref)
        if not vm["is_a_snapshot"]
    ]


async def is_held(calls: Calls, vdi_ref: str) -> bool:
    """Whether a control domain has a VBD on the disk."""
    return any(vm["is_control_domain"] for _, vm in await _vbds_with_vms(calls, vdi_ref))


def is_plugged(vbd: dict[str, Any]) -> bool:
    """Attached, or on its way to be: XAPI does not show the reservation itself, but the operation that made it."""
    return bool(vbd["currently_attached"]) or not _ATTACHING.isdisjoint(vbd["current_operations"].values())


async def _vbds_with_vms(calls: Calls, vdi_ref: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    try:
        refs = await calls.call("VDI.get_VBDs", vdi_ref)
    except PoolError as error:
        if error.code == "HANDLE_INVALID":
            return []
        raise
    pairs = await asyncio.gather(*(_vbd_with_vm(calls, ref) for ref in refs))
    return [pair for pair in pairs if pair is not None]


async def _vbd_with_vm(calls: Calls, vbd_ref: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    try:
        vbd = {**await calls.call("VBD.get_record", vbd_ref), "ref": vbd_ref}
        return vbd, await calls.call("VM.get_record", vbd["VM"])
    except PoolError as error:
        if error.code == "HANDLE_INVALID":  # unplugged and destroyed in between
            return None
        raise
