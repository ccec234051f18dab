"""What of a pool's objects carries tags of ours that are its own (R11)."""

import asyncio
from collections.abc import Iterator
from typing import Any

from xo_warmig.model.findings import OurObject
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.records import Origin


async def our_objects(calls: Calls, origin: Origin) -> list[OurObject]:
    """VMs, VDIs, snapshots of VDIs, and tasks, whatever migration they belong to; a disk's size is what it occupies."""
    vms, vdis, tasks = await asyncio.gather(
        calls.call("VM.get_all_records"), calls.call("VDI.get_all_records"), calls.call("task.get_all_records")
    )
    return [*_ours(vms, origin, "vm"), *_ours(vdis, origin, "vdi"), *_ours(tasks, origin, "task")]


def _ours(records: dict[str, dict[str, Any]], origin: Origin, kind: str) -> Iterator[OurObject]:
    for record in records.values():
        other_config = record["other_config"]
        if objects.MIGRATION not in other_config or not objects.is_ours(other_config, record["uuid"]):
            continue
        occupied = record.get("physical_utilisation")
        yield OurObject(
            pool=origin.pool,
            pool_name=origin.name,
            kind="snapshot" if kind == "vdi" and record["is_a_snapshot"] else kind,
            uuid=record["uuid"],
            name_label=record["name_label"],
            migration=other_config[objects.MIGRATION],
            role=other_config.get(objects.ROLE, ""),
            size_bytes=None if occupied is None else int(occupied),
        )
