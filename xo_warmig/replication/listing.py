"""Which parts of a disk a pass copies over NBD: what changed, or what its source stores by the head of an export that tells it."""

import logging
from collections.abc import Coroutine
from typing import Any

from xo_warmig.disks.table import Listed, block_extents
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import PoolError, PoolUnreachable, TransferStalled, WarmigError
from xo_warmig.model.extents import Extent, total_bytes
from xo_warmig.model.passes import DiskPassPlan, Way
from xo_warmig.model.units import KIB, format_bytes
from xo_warmig.replication.ends import Ends
from xo_warmig.replication.exports import against_listing, exports_of
from xo_warmig.replication.ports import Export
from xo_warmig.replication.retries import back_off_seconds, is_temporary, may_pass
from xo_warmig.replication.ways import ReadTable, Ways

log = logging.getLogger("xo_warmig.replication")

# Two reads of changed blocks with so little between them are made one: it costs less than another request.
GAP_BYTES = 64 * KIB
# The head of a qcow2 export saves hours, so a connection that broke is not the last word.
_TRIES = 3
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 10.0


async def list_parts(
    plan: DiskPassPlan, way: Way, ways: Ways, ends: Ends, pending: bytes, throttle: Throttle
) -> tuple[Listed, str]:
    """What is to be copied; and why that is all of the disk, where nothing tells what its source stores.

    Args:
        pending: blocks that must be copied whatever the list says (R18).
        throttle: what holds back the disk's copy, and the heads of exports that are read for it: some are as large as a gibibyte.
    """
    size = plan.virtual_size_bytes
    if way is Way.CBT and plan.base is not None:
        changed = await ways.source.changed_blocks(plan.base, plan.read_vdi, size_bytes=size)
        return await ways.streams.list_blocks(changed, pending, size, gap_bytes=GAP_BYTES), ""
    if exports_of(size, plan.image_format).table:
        return await _without_vhd_table(plan, ways, ends, pending, throttle)
    extents = block_extents(await _table(plan, ways, ends, throttle), pending, size)
    return Listed(extents, total_bytes(extents())), ""


async def _table(plan: DiskPassPlan, ways: Ways, ends: Ends, throttle: Throttle) -> bytes:
    """The blocks that the source stores, from the head of a VHD export that is broken off after it."""
    opening = ways.source.open_export(plan.read_vdi, base=None)
    return await _head(opening, ways.streams.read_table, plan, ends, throttle)


async def _head(
    opening: Coroutine[Any, Any, Export], read: ReadTable, plan: DiskPassPlan, ends: Ends, throttle: Throttle
) -> bytes:
    """What is read of an export's head. The export is closed while it is asked where the disk is served; where its head is of no use, it
    is closed, and its disk seen free, before anything else is tried (R10).
    """
    export = await ends.open(opening)
    try:
        head = await read(throttle.head(export.stream), plan.virtual_size_bytes)
    except BaseException:
        for not_closed in await ends.close(export):
            raise not_closed from None
        raise
    ends.close_beside(export)
    return head


async def _without_vhd_table(
    plan: DiskPassPlan, ways: Ways, ends: Ends, pending: bytes, throttle: Throttle
) -> tuple[Listed, str]:
    """A disk that no VHD can hold, or that is not kept as one: by the head of a qcow2 export, or all of it."""
    size = plan.virtual_size_bytes
    why = against_listing(size, plan.image_format)
    if not why:
        try:
            stored = await _clusters(plan, ways, ends, throttle)
        except PoolUnreachable:
            raise
        except WarmigError as error:
            if _must_wait(error):
                raise
            why = f"its qcow2 export does not tell: {error}"
        else:
            return await ways.streams.list_blocks(stored, pending, size, gap_bytes=0), ""
    whole = Listed(lambda: [Extent(0, size)], size)
    return whole, f"all {format_bytes(size)} of the disk are read to find what is not zero: {why}"


def _must_wait(error: WarmigError) -> bool:
    """Whether the whole disk could not be read now either."""
    return error.code == "DISK_STILL_ATTACHED" or (isinstance(error, PoolError) and is_temporary(error))


async def _clusters(plan: DiskPassPlan, ways: Ways, ends: Ends, throttle: Throttle) -> bytes:
    """The same from the head of a qcow2 export, with another try or two where the connection broke."""
    for attempt in range(1, _TRIES):
        try:
            return await _clusters_once(plan, ways, ends, throttle)
        except PoolUnreachable:
            raise
        except WarmigError as error:
            # A refusal stays one, and a pool that sends nothing for minutes reads the whole disk itself to find out.
            if not may_pass(error) or "status" in error.evidence or isinstance(error, TransferStalled):
                raise
            log.info("disk %s: its qcow2 export is asked for again: %s", plan.disk, error)
        await ways.clock.sleep(back_off_seconds(attempt, first=_FIRST_WAIT_SECONDS, longest=_LONGEST_WAIT_SECONDS))
    return await _clusters_once(plan, ways, ends, throttle)


async def _clusters_once(plan: DiskPassPlan, ways: Ways, ends: Ends, throttle: Throttle) -> bytes:
    return await _head(ways.source.open_qcow2(plan.read_vdi), ways.streams.read_clusters, plan, ends, throttle)
