"""Snapshots of single disks: they are bases for deltas, and need no consistency between disks."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.xapi import claims, labels, objects, tasks
from xo_warmig.xapi.connection import Calls

SNAPSHOT_ROLE = "base"
# A snapshot that our own call made is stamped soon after the label was written; hosts of a pool differ a little.
_MOST_SECONDS_AFTER_LABEL = 15 * 60.0
_CLOCKS_DIFFER_SECONDS = 60.0

log = logging.getLogger(__name__)


class _Found(NamedTuple):
    """What there is of a disk's snapshots. ``candidates``: references of those that an earlier try may have made."""

    uuid: str | None
    candidates: list[str]


async def snapshot_disk(calls: Calls, vdi: str, *, tag: str, epoch: int) -> str:
    """``VDI.snapshot``, or the snapshot that has this tag already; its uuid.

    XAPI copies the disk's ``other_config`` to the snapshot: the label that an earlier try left there (see ``labels``), by which its
    snapshot is found and claimed. Ours is written afterwards, with the snapshot's own uuid (R11). One that cannot be tagged, or whose
    label stays, is destroyed at once, while it is known to be ours: a refusal leaves nothing. Raises NoSuchObject.
    """
    ref = await objects.ref_of(calls, "VDI", vdi)
    other_config = await calls.call("VDI.get_other_config", ref)
    label = labels.label_of(other_config)
    tried = label is not None and label.tag == tag
    uuid = await _made_before(calls, ref, tag, epoch, tried=tried)
    if uuid is not None:
        if tried:
            await labels.remove_label(calls, ref)
        return uuid
    await labels.put_label(calls, ref, other_config, tag)
    snapshot = await tasks.run(calls, "VDI.snapshot", ref, {})
    try:
        uuid = await _tag(calls, snapshot, tag, epoch)
        await labels.remove_label(calls, ref)
    except WarmigError as error:
        await claims.destroy_made(calls, "VDI", snapshot, error)
        raise
    return uuid


async def _made_before(calls: Calls, vdi_ref: str, tag: str, epoch: int, *, tried: bool) -> str | None:
    """What an earlier try made. ``tried``: the disk's own label says that there was one, whose call may be under way still."""
    found = await _look(calls, vdi_ref, tag)
    if found.uuid is None and (tried or found.candidates):
        await labels.wait_until_not_copied(calls, vdi_ref)
        found = await _look(calls, vdi_ref, tag)
    if found.uuid is not None:
        return found.uuid
    if len(found.candidates) == 1:
        log.info("a snapshot was made before a crash, as %s; it is claimed", tag)
        return await _tag(calls, found.candidates[0], tag, epoch)
    if found.candidates:
        log.warning("%d snapshots may be the one of %s, so none is taken for it", len(found.candidates), tag)
    return None


async def _look(calls: Calls, vdi_ref: str, tag: str) -> _Found:
    candidates = []
    for snapshot in await calls.call("VDI.get_snapshots", vdi_ref):
        try:
            record = await calls.call("VDI.get_record", snapshot)
        except PoolError as error:
            if error.code == "HANDLE_INVALID":  # destroyed in between
                continue
            raise
        if objects.is_ours(record["other_config"], record["uuid"], tag=tag):
            return _Found(str(record["uuid"]), [])
        if _may_be_ours(record, tag):
            candidates.append(snapshot)
    return _Found(None, candidates)


def _may_be_ours(record: Mapping[str, Any], tag: str) -> bool:
    """A snapshot that a user took of the whole VM has a VBD; one that was claimed for another tag is not made a second time."""
    label = labels.label_of(record["other_config"])
    if label is None or label.tag != tag or record["VBDs"]:
        return False
    if record["other_config"].get(objects.SELF) == record["uuid"]:
        return False
    passed = labels.seconds_of(record["snapshot_time"]) - label.written
    return -_CLOCKS_DIFFER_SECONDS <= passed <= _MOST_SECONDS_AFTER_LABEL


async def _tag(calls: Calls, snapshot: str, tag: str, epoch: int) -> str:
    record = await calls.call("VDI.get_record", snapshot)
    uuid = str(record["uuid"])
    ours = objects.tags(migration=tag.partition("/")[0], role=SNAPSHOT_ROLE, epoch=epoch, tag=tag, uuid=uuid)
    await calls.call("VDI.set_other_config", snapshot, objects.without_ours(record["other_config"]) | ours)
    return uuid
