"""Snapshots of single disks: they are bases for deltas, and need no consistency between disks."""

import logging

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls

SNAPSHOT_ROLE = "base"

log = logging.getLogger(__name__)


async def snapshot_disk(calls: Calls, vdi: str, *, tag: str) -> str:
    """``VDI.snapshot``, or the snapshot that has this tag already; its uuid.

    XAPI copies the disk's ``other_config`` to the snapshot, so ours is written afterwards, with the snapshot's own uuid (R11). One
    that cannot be tagged is destroyed at once, while it is known to be ours. A crash in between leaves a snapshot that nobody can
    tell from a user's: it is never touched.
    """
    ref = await objects.ref_of(calls, "VDI", vdi)
    found = await _tagged(calls, ref, tag)
    if found is not None:
        return found
    snapshot = await tasks.run(calls, "VDI.snapshot", ref, {})
    try:
        return await _tag(calls, snapshot, tag)
    except WarmigError as error:
        try:
            await tasks.run(calls, "VDI.destroy", snapshot)
        except WarmigError as refusal:
            error.evidence["left"] = snapshot
            log.warning("a snapshot of %s that could not be tagged stays, as %s: %s", vdi, snapshot, refusal)
        raise


async def _tag(calls: Calls, snapshot: str, tag: str) -> str:
    record = await calls.call("VDI.get_record", snapshot)
    uuid = str(record["uuid"])
    ours = objects.tags(migration=tag.partition("/")[0], role=SNAPSHOT_ROLE, tag=tag, uuid=uuid)
    await calls.call("VDI.set_other_config", snapshot, objects.without_ours(record["other_config"]) | ours)
    return uuid


async def _tagged(calls: Calls, vdi_ref: str, tag: str) -> str | None:
    for snapshot in await calls.call("VDI.get_snapshots", vdi_ref):
        try:
            record = await calls.call("VDI.get_record", snapshot)
        except PoolError as error:
            if error.code == "HANDLE_INVALID":  # destroyed in between
                continue
            raise
        if objects.is_ours(record["other_config"], record["uuid"], tag=tag):
            return str(record["uuid"])
    return None
