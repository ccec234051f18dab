"""The source's end of an attempt: opened in the way that is planned, and copied from."""

from typing import NamedTuple

from xo_warmig.disks.loads import Extents
from xo_warmig.disks.table import block_extents
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.formats.cbt import changed_extents, with_extents
from xo_warmig.model.passes import DiskPassPlan, Way
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.choosing import needs_nbd
from xo_warmig.replication.ends import Ends
from xo_warmig.replication.ports import Blocks, Export
from xo_warmig.replication.retries import is_temporary
from xo_warmig.replication.ways import Ways

# Two reads of changed blocks with so little between them are made one: it costs less than another request.
GAP_BYTES = 64 * KIB
# Less than this is read over one connection: the pool attaches the disk once for each.
_FEW_BYTES = 64 * MIB


class WayClosed(Exception):
    """The disk cannot be read in the way that was planned; ``str`` says why. A VHD export may still do."""


class Source(NamedTuple):
    """An open source: a VHD stream, or blocks and which of them are to be copied. Nothing is open where none are."""

    export: Export | None = None
    blocks: Blocks | None = None
    extents: Extents = list


async def open_source(
    plan: DiskPassPlan, way: Way, ways: Ways, ends: Ends, *, pending: bytes, final: bool = False
) -> Source:
    """Open the source's end, which is among ``ends`` then.

    Args:
        pending: blocks that must be copied whatever the list says (R18).
        final: a VM is down meanwhile, so nothing is waited for that another way does without.

    Raises:
        WayClosed: not in this way. WarmigError: not at all, or not now.
    """
    if way is Way.VHD:
        return Source(export=await ends.open(ways.source.open_export(plan.read_vdi, base=plan.base)))
    try:
        extents = await _listed(plan, way, ways, ends, pending)
        to_read_bytes = sum(extent.length for extent in extents())
        if not to_read_bytes:
            return Source(extents=extents)
        connections = 1 if to_read_bytes < _FEW_BYTES else plan.connections
        blocks = await ends.open(ways.source.open_blocks(plan.read_vdi, connections=connections, urgent=final))
    except PoolUnreachable:
        raise
    except WarmigError as error:
        passes = not final and isinstance(error, PoolError) and is_temporary(error)
        if plan.no_other_way or needs_nbd(plan.virtual_size_bytes) or passes or error.code == "DISK_STILL_ATTACHED":
            raise
        raise WayClosed(str(error)) from error
    return Source(blocks=blocks, extents=extents)


async def _listed(plan: DiskPassPlan, way: Way, ways: Ways, ends: Ends, pending: bytes) -> Extents:
    """What is to be copied."""
    size = plan.virtual_size_bytes
    if way is Way.CBT and plan.base is not None:
        changed = await ways.source.changed_blocks(plan.base, plan.read_vdi, size_bytes=size)
        wanted = with_extents(changed, block_extents(pending, b"", size)(), size)
        return lambda: changed_extents(wanted, size, gap_bytes=GAP_BYTES)
    return block_extents(await _table(plan, ways, ends), pending, size)


async def _table(plan: DiskPassPlan, ways: Ways, ends: Ends) -> bytes:
    """The blocks that the source stores, from the head of a VHD export that is broken off after it."""
    export = await ends.open(ways.source.open_export(plan.read_vdi, base=None))
    blocks = await ways.streams.read_table(export.stream, plan.virtual_size_bytes)
    for not_closed in await ends.close(export):
        raise not_closed
    return blocks
