"""Our side of a copy: full passes of a halted VM's snapshots, as a migration runs them."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from bench.site import connected
from xo_warmig.disks.meter import Meter
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, PassReport, Verdict, Way
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.ports import SourcePool, TargetPool
from xo_warmig.replication.run import Begun, Ways, run_pass
from xo_warmig.simulator.launch import Site


class Pair(NamedTuple):
    """A snapshot, and the disk that it is copied to."""

    snapshot: str
    target: str
    size_bytes: int


class Ends(NamedTuple):
    """Our adapters of the two pools, and what is copied between them."""

    source: SourcePool
    target: TargetPool
    pairs: list[Pair]


@asynccontextmanager
async def ends_of(site: Site) -> AsyncIterator[Ends]:
    """A snapshot and a target disk for each disk of the first pool's first VM."""
    async with connected(site) as directory:
        source = await directory.pool_of_vm(site.pools[0].vms[0].uuid)
        target = await directory.pool_of_sr(site.pools[1].srs[0].uuid)
        pairs = []
        for disk in (await source.read_vm(site.pools[0].vms[0].uuid)).disks:
            snapshot = await source.snapshot_disk(disk.vdi, tag=f"bench/{disk.device}", epoch=1)
            copy = await target.create_disk(disk, sr=site.pools[1].srs[0].uuid, migration=str(uuid.uuid4()), epoch=1)
            pairs.append(Pair(snapshot, copy, disk.virtual_size_bytes))
        yield Ends(source, target, pairs)


def full_pass(pairs: Sequence[Pair], *, way: Way, connections: int, most: int = 1) -> PassPlan:
    """All of the disks, side by side, each over as many connections, or up to ``most`` where they read faster."""
    disks = [
        DiskPassPlan(
            disk=pair.snapshot,
            read_vdi=pair.snapshot,
            base=None,
            target_vdi=pair.target,
            virtual_size_bytes=pair.size_bytes,
            skip_zeros=True,
            way=way,
            connections=connections,
            most_connections=most,
        )
        for pair in pairs
    ]
    return PassPlan(number=1, kind=PassKind.FULL, disks=disks)


async def carry_out(plan: PassPlan, source: SourcePool, target: TargetPool) -> PassReport:
    """From opening both ends until the target's task has confirmed it and both control domains have let go."""
    begun = Begun(time.time(), time.monotonic(), None)
    meters = {disk.disk: Meter() for disk in plan.disks}
    run = await run_pass(plan, Ways(source, target, SystemClock()), begun=begun, meters=meters)
    if run.report.verdict is not Verdict.COMPLETE:
        raise RuntimeError(f"our pass is {run.report.verdict}: {run.error}")
    notes = [note.code for disk in run.report.disks for note in disk.notes]
    if notes:
        raise RuntimeError(f"our pass did not go as it was planned: {notes}")
    return run.report
