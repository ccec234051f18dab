"""The source's end of an attempt: opened in the way that is planned, and copied from."""

from typing import NamedTuple

from xo_warmig.disks.admission import Admission
from xo_warmig.disks.loads import Extents
from xo_warmig.disks.throttle import Throttle
from xo_warmig.errors import PoolError, PoolUnreachable, WarmigError
from xo_warmig.model.passes import DiskPassPlan, Way
from xo_warmig.model.units import MIB
from xo_warmig.replication.ends import Ends
from xo_warmig.replication.listing import list_parts
from xo_warmig.replication.ports import Blocks, Export, Pool
from xo_warmig.replication.retries import is_temporary
from xo_warmig.replication.ways import Ways

# Less than this is read over one connection: the pool attaches the disk once for each.
FEW_BYTES = 64 * MIB


class WayClosed(Exception):
    """The disk cannot be read in the way that was planned; ``str`` says why. A VHD export may still do."""


class Source(NamedTuple):
    """An open source: a VHD stream, or blocks and which of them are to be copied. Nothing is open where none are.

    ``read_whole``: why these are all of the disk.
    """

    export: Export | None = None
    blocks: Blocks | None = None
    extents: Extents = list
    read_whole: str = ""


async def open_source(
    plan: DiskPassPlan,
    way: Way,
    ways: Ways,
    ends: Ends,
    admission: Admission,
    *,
    pending: bytes,
    throttle: Throttle,
    final: bool = False,
) -> Source:
    """Open the source's end, which is among ``ends`` then, when it is this copy's turn.

    Args:
        admission: entered before anything is opened for as long as the copy takes.
        pending: blocks that must be copied whatever the list says (R18).
        throttle: of the disk's copy; heads of exports that tell what to copy are held to it here.
        final: the pass is not gone on with after a break (R22), so nothing is waited for that another way does without.

    Raises:
        WayClosed: not in this way. WarmigError: not at all, or not now.
    """
    if way is Way.VHD:
        await admission.enter()
        return Source(export=await ends.open(ways.source.open_export(plan.read_vdi, base=plan.base)))
    try:
        listed, read_whole = await list_parts(plan, way, ways, ends, pending, throttle)
        if not listed.total_bytes:
            await ends.closed()
            await admission.enter()
            return Source(extents=listed.extents)
        few = listed.total_bytes < FEW_BYTES
        blocks = await open_blocks(
            ways.source,
            plan.read_vdi,
            ends,
            admission,
            connections=1 if few else plan.connections,
            most=1 if few else plan.most_connections,
        )
    except PoolUnreachable:
        raise
    except WarmigError as error:
        await ends.closed()
        passes = not final and isinstance(error, PoolError) and is_temporary(error)
        if plan.no_other_way or passes or error.code == "DISK_STILL_ATTACHED":
            raise
        raise WayClosed(str(error)) from error
    return Source(blocks=blocks, extents=listed.extents, read_whole=read_whole)


async def open_blocks(pool: Pool, vdi: str, ends: Ends, admission: Admission, *, connections: int, most: int) -> Blocks:
    """A disk of a pool, read over NBD as soon as it is its turn, and as what was read of it before has let go of it (R10).

    See ``Pool.queue_for_blocks`` and ``BlocksTurn.open``.
    """
    turn = await pool.queue_for_blocks(
        vdi, connections=connections, most=max(connections, most), urgent=admission.urgent, tell=admission.tell
    )
    try:
        await admission.enter()
        await turn.wait()
        await ends.closed()
        return await ends.open(turn.open())
    finally:
        turn.give_up()
