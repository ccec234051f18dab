"""Clones of target disks: the way on when an old writer does not let go of one (R16)."""

import logging
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import SafetyError, WarmigError
from xo_warmig.model.vm import Disk
from xo_warmig.xapi import claims, labels, objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.device_specs import clone_role, disk_other_config

log = logging.getLogger(__name__)


async def clone_disk(calls: Calls, vdi: str, source: Disk, *, migration: str, epoch: int) -> str:
    """``VDI.clone`` of a disk that this migration made for ``source``, or the clone that was made already; its uuid.

    A clone starts with the tags of its origin, which say whose they are; its own come after (R11). One that an earlier try left
    without them is found by the label that it copied (see ``labels``).

    Raises:
        NoSuchObject, or SafetyError: the disk is none of this migration's.
    """
    ref = await objects.ref_of(calls, "VDI", vdi)
    other_config = await calls.call("VDI.get_other_config", ref)
    if not objects.is_ours(other_config, vdi, migration=migration):
        raise SafetyError(
            f"the disk {vdi} was not made by migration {migration}",
            code="NOT_OURS",
            evidence={"rule": "R8", "disk": vdi, "migration": migration},
            remedy="clone it by hand if a clone is wanted",
        )
    role = clone_role(source, vdi)
    wanted = disk_other_config(source) | objects.tags(migration=migration, role=role, epoch=epoch)
    label = labels.label_of(other_config)
    tried = label is not None and label.tag == role
    uuid = await _made_before(calls, ref, wanted) if tried else await _claimed(calls, wanted)
    if uuid is None:
        await labels.put_label(calls, ref, other_config, role)
        clone = await tasks.run(calls, "VDI.clone", ref, {})
        try:
            uuid = await _tag(calls, clone, wanted)
            await labels.remove_label(calls, ref)
        except WarmigError as error:
            await claims.destroy_made(calls, "VDI", clone, error)
            raise
    elif tried:
        await labels.remove_label(calls, ref)
    return uuid


async def _made_before(calls: Calls, origin: str, wanted: Mapping[str, str]) -> str | None:
    await labels.wait_until_not_copied(calls, origin)
    uuid = await _claimed(calls, wanted)
    if uuid is not None:
        return uuid
    records: dict[str, dict[str, Any]] = await calls.call("VDI.get_all_records")
    candidates = [
        ref
        for ref, record in records.items()
        if ref != origin and _may_be_ours(record, origin=records[origin], role=wanted[objects.ROLE])
    ]
    if len(candidates) == 1:
        log.info("a clone was made before a crash, as %s; it is claimed", wanted[objects.ROLE])
        return await _tag(calls, candidates[0], wanted)
    if candidates:
        log.warning("%d disks may be the clone %s, so none is taken for it", len(candidates), wanted[objects.ROLE])
    return None


def _may_be_ours(record: Mapping[str, Any], *, origin: Mapping[str, Any], role: str) -> bool:
    """A clone of the very disk, in its SR, that still says to be that one, and that nobody has a VBD on."""
    label = labels.label_of(record["other_config"])
    return (
        label is not None
        and label.tag == role
        and objects.is_ours(record["other_config"], origin["uuid"])
        and record["SR"] == origin["SR"]
        and not record["is_a_snapshot"]
        and not record["VBDs"]
    )


async def _claimed(calls: Calls, wanted: Mapping[str, str]) -> str | None:
    return await claims.find(calls, "VDI", migration=wanted[objects.MIGRATION], role=wanted[objects.ROLE])


async def _tag(calls: Calls, clone: str, wanted: Mapping[str, str]) -> str:
    uuid = str(await calls.call("VDI.get_uuid", clone))
    await calls.call("VDI.set_other_config", clone, {**wanted, objects.SELF: uuid})
    return uuid
