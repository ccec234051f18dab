"""Objects that are made with our tags and then claimed: their own uuid is written on them, and only that makes them ours (R11)."""

import logging
from typing import Any

from xo_warmig.errors import SafetyError, WarmigError
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls

_MAKING_SECONDS = 60.0

log = logging.getLogger(__name__)


async def find(calls: Calls, cls: str, *, migration: str, role: str) -> str | None:
    """The uuid of what an earlier try of this migration made, None when there is nothing.

    One whose maker was stopped before it was claimed is claimed now, if there is just one. A call of ours that still makes something,
    as its answer was lost or its process killed, is waited for.

    Raises:
        SafetyError: there are several such, and nobody can tell which one is a copy that somebody else made.
    """
    found = await _look(calls, cls, migration=migration, role=role)
    if found is None and await tasks.ended_ours(calls, f"{cls}.create", most_seconds=_MAKING_SECONDS):
        found = await _look(calls, cls, migration=migration, role=role)
    return found


async def _look(calls: Calls, cls: str, *, migration: str, role: str) -> str | None:
    unclaimed: dict[str, str] = {}
    records: dict[str, dict[str, Any]] = await calls.call(f"{cls}.get_all_records")
    for ref, record in records.items():
        if objects.is_ours(record["other_config"], record["uuid"], migration=migration, role=role):
            return str(record["uuid"])
        if objects.is_unclaimed(record, migration=migration, role=role):
            unclaimed[ref] = record["uuid"]
    if len(unclaimed) > 1:
        raise _ambiguous(cls, sorted(unclaimed.values()), migration=migration, role=role)
    for ref, uuid in unclaimed.items():
        log.info("the %s %s was made before a crash; it is claimed", cls, uuid)
        await calls.call(f"{cls}.add_to_other_config", ref, objects.SELF, uuid)
        return uuid
    return None


async def claim(calls: Calls, cls: str, ref: str) -> str:
    """Write its own uuid on a VM or VDI just made, and give it; what cannot be claimed is destroyed while it is known to be ours."""
    try:
        uuid = str(await calls.call(f"{cls}.get_uuid", ref))
        await calls.call(f"{cls}.add_to_other_config", ref, objects.SELF, uuid)
    except WarmigError as error:
        await destroy_made(calls, cls, ref, error)
        raise
    return uuid


async def destroy_made(calls: Calls, cls: str, ref: str, error: WarmigError) -> None:
    """Take back what this very process just made; where that fails too, ``error`` says what is left."""
    try:
        await tasks.run(calls, f"{cls}.destroy", ref)
    except WarmigError as refusal:
        error.evidence["left"] = ref
        log.warning("a %s of ours that could not be claimed stays, as %s: %s", cls, ref, refusal)


def _ambiguous(cls: str, uuids: list[str], *, migration: str, role: str) -> SafetyError:
    return SafetyError(
        f"several objects say to be the {role} of migration {migration}, and none says which one is not a copy:"
        f" {', '.join(uuids)}",
        code="AMBIGUOUS_OBJECTS",
        evidence={"rule": "R11", "type": cls, "objects": uuids, "migration": migration, "role": role},
        remedy="remove those that are not wanted by hand, or take the key xo_warmig:migration from their other_config",
    )
