"""Who has a VBD on a disk: read for all disks of a VM by one or two short calls, as it is asked inside the downtime."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from xo_warmig.errors import PoolError, SafetyError, TransferError
from xo_warmig.model.vm import Attachment
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.filters import records_with

_ATTACHING = frozenset({"attach", "plug"})

Record: TypeAlias = Mapping[str, Any]


class Owner(NamedTuple):
    """What a VM is, as far as it stays so for as long as its reference is good."""

    uuid: str
    is_control_domain: bool
    is_a_snapshot: bool


Owners: TypeAlias = dict[str, Owner]
"""By reference: what was seen of the VMs of one pool, so that none is asked for twice."""


async def read_attachments(calls: Calls, vdis: Iterable[str], owners: Owners | None = None) -> list[Attachment]:
    """All VBDs on these disks, of any VM, snapshots left out. A disk that is gone has none.

    ``owners``: known VMs; those that are met are added.
    """
    disks = await records_with(calls, "VDI", uuid=vdis)
    vbds = await records_with(calls, "VBD", VDI=disks)
    return await attachments_from(calls, disks, vbds, owners)


async def attachments_from(
    calls: Calls, disks: Mapping[str, Record], vbds: Mapping[str, Record], owners: Owners | None = None
) -> list[Attachment]:
    """The same by records that were read, of which ``vbds`` may have those of other disks: only unknown VMs are asked for."""
    on_disks = {ref: vbd for ref, vbd in vbds.items() if vbd["VDI"] in disks}
    return [
        Attachment(
            vdi=disks[vbds[ref]["VDI"]]["uuid"],
            vm=owner.uuid,
            is_control_domain=owner.is_control_domain,
            mode=vbds[ref]["mode"],
            plugged=is_plugged(vbds[ref]),
        )
        for ref, owner in (await _owners_of(calls, on_disks, owners)).items()
        if not owner.is_a_snapshot
    ]


async def see_nobody_writes(calls: Calls, vdi: str, vdi_ref: str, owners: Owners) -> None:
    """Before a disk is written to: no VM has it, and no other import (R16, R17).

    XAPI does not see to that: the rules of who may share a disk count no control domain (ocaml/xapi/xapi_vbd_helpers.ml), and on the host
    that has the disk already storage takes a second writer.

    Raises:
        SafetyError: a VM that runs has it. TransferError: VDI_IN_USE, a control domain has it for writing, which may pass.
    """
    vbds = await records_with(calls, "VBD", VDI=[vdi_ref])
    used = [each for each in await attachments_from(calls, {vdi_ref: {"uuid": vdi}}, vbds, owners) if each.plugged]
    for each in used:
        if not each.is_control_domain:
            raise SafetyError(
                f"the VM {each.vm} has the disk {vdi}, which was to be written to",
                code="TARGET_TOUCHED",
                evidence={"rule": "R17", "disk": vdi, "vm": each.vm},
                remedy="start the migration again: it makes new disks",
            )
    if any(each.mode != "RO" for each in used):
        raise TransferError(
            f"a control domain still has the disk {vdi} for writing",
            code="VDI_IN_USE",
            evidence={"rule": "R16", "disk": vdi, "side": "target"},
            remedy="unplug and destroy the disk's VBD of the control domain on its pool",
        )


async def wait_until_let_go(
    calls: Calls,
    vdi_refs: Iterable[str],
    *,
    most_seconds: float,
    first_wait_seconds: float,
    owners: Owners | None = None,
) -> bool:
    """Wait until no control domain has these disks attached; whether that came true in time.

    The wait between two looks grows with the time that passed, to half a second.
    """
    refs, owners = list(vdi_refs), {} if owners is None else owners
    started = time.monotonic()
    while True:
        if not await is_held(calls, refs, owners):
            return True
        passed = time.monotonic() - started
        if passed >= most_seconds:
            return False
        await asyncio.sleep(min(max(first_wait_seconds, passed / 20), 0.5))


async def is_held(calls: Calls, vdi_refs: Iterable[str], owners: Owners | None = None) -> bool:
    """Whether a control domain has a VBD on any of the disks."""
    return bool(await held_by(calls, vdi_refs, owners))


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
    for vbd in await held_by(calls, [vdi_ref]):
        await _unless_gone(calls, "VBD.unplug", vbd)
        await _unless_gone(calls, "VBD.destroy", vbd)


async def _unless_gone(calls: Calls, method: str, vbd_ref: str) -> None:
    try:
        await tasks.run(calls, method, vbd_ref)
    except PoolError as error:
        if error.code not in {"DEVICE_ALREADY_DETACHED", *objects.GONE}:
            raise


def is_plugged(vbd: Record) -> bool:
    """Attached, or on its way to be: XAPI does not show the reservation itself, but the operation that made it."""
    return bool(vbd["currently_attached"]) or not _ATTACHING.isdisjoint(vbd["current_operations"].values())


def owner_from(record: Record) -> Owner:
    """By a VM's record."""
    return Owner(record["uuid"], record["is_control_domain"], record["is_a_snapshot"])


async def held_by(calls: Calls, vdi_refs: Iterable[str], owners: Owners | None = None) -> list[str]:
    """References of the VBDs that control domains have on these disks."""
    found = await _owners_of(calls, await records_with(calls, "VBD", VDI=vdi_refs), owners)
    return [ref for ref, owner in found.items() if owner.is_control_domain]


async def _owners_of(calls: Calls, vbds: Mapping[str, Record], owners: Owners | None) -> Owners:
    """By reference of the VBD. One whose VM is gone was destroyed with it in between, and is left out."""
    owners = {} if owners is None else owners
    unknown = {vbd["VM"] for vbd in vbds.values()} - owners.keys()
    await asyncio.gather(*(_meet(calls, ref, owners) for ref in unknown))
    return {ref: owners[vbd["VM"]] for ref, vbd in vbds.items() if vbd["VM"] in owners}


async def _meet(calls: Calls, vm_ref: str, owners: Owners) -> None:
    try:
        owners[vm_ref] = owner_from(await calls.call("VM.get_record", vm_ref))
    except PoolError as error:
        if error.code != "HANDLE_INVALID":
            raise
