"""What of a pool's objects carries tags of ours that are its own (R11)."""

import asyncio
from collections.abc import Iterator
from typing import Any

from xo_warmig.model.findings import OurObject
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.records import Origin


async def our_objects(calls: Calls, origin: Origin) -> list[OurObject]:
    """VMs, VDIs and snapshots of VDIs, whatever migration they belong to; a disk's size is what it occupies."""
    vms, vdis = await asyncio.gather(calls.call("VM.get_all_records"), calls.call("VDI.get_all_records"))
    return [*_ours(vms, origin), *_ours(vdis, origin)]


def _ours(records: dict[str, dict[str, Any]], origin: Origin) -> Iterator[OurObject]:
    for record in records.values():
        other_config = record["other_config"]
        if objects.MIGRATION not in other_config or not objects.is_ours(other_config, record["uuid"]):
            continue
        occupied = record.get("physical_utilisation")
        disk = "snapshot" if record["is_a_snapshot"] else "vdi"
        yield OurObject(
            pool=origin.pool,
            pool_name=origin.name,
            kind="vm" if occupied is None else disk,
            uuid=record["uuid"],
            name_label=record["name_label"],
            migration=other_config[objects.MIGRATION],
            role=other_config.get(objects.ROLE, ""),
            size_bytes=None if occupied is None else int(occupied),
        )
