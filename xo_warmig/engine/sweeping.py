"""Leftovers on all pools: objects with our own tags, of migrations that this server knows, that nothing owns any more (R8, R11)."""

import logging
from collections.abc import Iterable

from xo_warmig.engine.state import MigrationState
from xo_warmig.errors import WarmigError
from xo_warmig.model.findings import OurObject, SweepReport, SweptObject
from xo_warmig.model.phases import Phase
from xo_warmig.replication.ports import AnyPool, Pools

log = logging.getLogger("xo_warmig.engine")

# VMs first: their disks are free to go after that.
_ORDER = {"vm": 0, "vdi": 1, "snapshot": 2, "task": 3}


async def sweep(pools: Pools, states: Iterable[MigrationState], *, remove: bool) -> SweepReport:
    """Find them, and with ``remove`` take them away. An object of a migration that is not in our store is never named."""
    known = {state.id: state for state in states}
    connected, not_asked = await pools.connected()
    swept = []
    for pool in connected:
        objects = [each for each in await pool.our_objects() if is_leftover(each, known)]
        for each in sorted(objects, key=lambda found: _ORDER[found.kind]):
            swept.append(await _removed(pool, each) if remove else SweptObject(object=each, removed=False))
    return SweepReport(objects=swept, not_asked=list(not_asked))


def is_leftover(found: OurObject, known: dict[str, MigrationState]) -> bool:
    """Whether it belongs to an ended migration of ours that does not need it, nor does any other."""
    owner = known.get(found.migration)
    if owner is None or not owner.ended:
        return False
    return not any(found.uuid in owned(state) or found.uuid in state.pool_tasks.values() for state in known.values())


def owned(state: MigrationState) -> set[str]:
    """What a migration has a right to: all that it made while it lives, its kept copy afterwards, and for good what it ended with."""
    if state.phase is Phase.DONE:
        return {state.target_vm or ""} | {disk.vdi for disk in state.target_disks.values()}
    if not state.ended:
        disks = {disk.vdi for disk in state.target_disks.values()}
        frozen = {each.snapshot for each in state.frozen.values()}
        return {state.target_vm or ""} | disks | frozen | set(state.snapshots)
    kept = {each.target.vdi for each in state.kept} | {each.target.base or "" for each in state.kept}
    return kept | set(state.given_away) | ({state.target_vm or ""} if state.kept else set())


async def _removed(pool: AnyPool, found: OurObject) -> SweptObject:
    try:
        if found.kind == "vm":
            await pool.discard_vm(found.uuid)
        elif found.kind == "task":
            await pool.drop_task(found.uuid)
        else:
            await pool.destroy_disk(found.uuid)
    except WarmigError as refusal:
        return SweptObject(object=found, removed=False, why=str(refusal))
    log.info("the leftover %s %s of migration %s is removed", found.kind, found.uuid, found.migration)
    return SweptObject(object=found, removed=True)
