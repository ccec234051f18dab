"""What a final pass reads: the halted disks themselves, or snapshots of them where that takes long.

A disk that is read directly is attached to a control domain until the end, and one that does not let go of it keeps the source from
being started again. A snapshot costs a second of downtime, and leaves the disk free.
"""

import logging

from xo_warmig.engine.checks import room_for_snapshots
from xo_warmig.engine.deciding import complete_passes, pending_seconds, speed_of
from xo_warmig.engine.passes import snapshot
from xo_warmig.engine.work import Work
from xo_warmig.errors import PoolUnreachable, WarmigError
from xo_warmig.replication.convergence import predict_read
from xo_warmig.replication.tasks import together, unbroken

log = logging.getLogger("xo_warmig.engine")


async def read_of_final(work: Work, number: int) -> dict[str, str]:
    """By source disk, what pass ``number`` reads of the halted source. Where no snapshot can be had it is the disk."""
    direct = {disk.vdi: disk.vdi for disk in work.state.plan.vm.disks}
    if read_seconds(work) < work.settings.direct_read_seconds:
        return direct
    try:
        await work.briefly(lambda: room_for_snapshots_now(work))
        disks = work.state.plan.vm.disks
        taken = await together(*(unbroken(snapshot(work, disk, number, work.briefly)) for disk in disks))
    except PoolUnreachable:
        raise
    except WarmigError as refusal:
        await work.journal.warn(
            "READ_DIRECTLY",
            f"the halted disks themselves are read, as no snapshots of them can be taken: {refusal}",
            remedy="should the source not start again after a failure, see that no control domain holds its disks",
        )
        return direct
    work.watch.lap("snapshot")
    return dict(zip(direct, taken, strict=True))


async def room_for_snapshots_now(work: Work) -> None:
    """R19: how deep the chains are only the whole VM tells."""
    await room_for_snapshots(work, await work.source.read_vm(work.vm))


def read_seconds(work: Work) -> float:
    """How long the final pass will read, as far as can be told."""
    targets = work.state.target_disks
    based = {disk for disk, target in targets.items() if target.base is not None}
    whole_bytes = sum(disk.physical_bytes for disk in work.state.plan.vm.disks if disk.vdi not in based)
    return predict_read(
        complete_passes(work),
        pending_seconds=pending_seconds(work) if based else 0.0,
        whole_bytes=whole_bytes,
        speed=speed_of(work),
    )
