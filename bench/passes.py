"""Our side of a copy: passes over snapshots, carried out by the engine itself, with its book, its tables of hashes and its read-back."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NamedTuple

from bench.site import connected
from xo_warmig.engine.copying import judged
from xo_warmig.engine.feed import Feed
from xo_warmig.engine.hashes.files import TableFiles
from xo_warmig.engine.journal import Journal
from xo_warmig.engine.pacing import Pacing
from xo_warmig.engine.passes import copy_disk_of_pass
from xo_warmig.engine.settings import Settings
from xo_warmig.engine.showing import end_showing
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.engine.store.durable import DatabaseStore
from xo_warmig.engine.work import Surroundings, Work
from xo_warmig.model.events import PassStarted, Planned
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, PassReport, Verdict, Way
from xo_warmig.model.plans import MigrationPlan
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.vm import Vm
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.ports import SourcePool, TargetPool
from xo_warmig.replication.ways import Streams
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi.directory import Directory


class Pair(NamedTuple):
    """A disk, its snapshot, and the disk that this is copied to."""

    disk: str
    snapshot: str
    target: str
    size_bytes: int
    image_format: str


class Passes:
    """Passes between two pools, each of a migration of its own, so that none goes on with another's."""

    def __init__(self, around: Surroundings, source: SourcePool, target: TargetPool, vm: Vm, sr: str) -> None:
        self._around = around
        self._source, self._target = source, target
        self._request = WarmMigrationRequest(vm=vm.uuid, sr=sr, start_destination_vm=False, delete_source_vm=False)
        self._plan = MigrationPlan(
            vm=vm,
            source_pool=source.uuid,
            source_pool_name=source.name,
            target_pool=target.uuid,
            target_pool_name=target.name,
            srs={disk.vdi: sr for disk in vm.disks},
            networks={},
            zeroed_srs=[],
        )

    async def carry_out(self, plan: PassPlan) -> PassReport:
        """From the fact that it has begun until the target's task has confirmed it, both control domains have let go, and the sample
        that ``verify`` asks for by default was read back.
        """
        journal = Journal(str(uuid.uuid4()), self._around.store, Feed(), self._around.clock)
        await journal.record(Planned(request=self._request, user="bench", plan=self._plan), PassStarted(plan=plan))
        work = Work(journal, self._source, self._target, self._around, [])
        try:
            async with asyncio.TaskGroup() as group:
                for disk in plan.disks:
                    group.create_task(copy_disk_of_pass(work, plan.number, disk.disk))
        finally:
            end_showing(work)
        return _seen_complete(judged(work, plan))


def _seen_complete(report: PassReport) -> PassReport:
    if report.verdict is not Verdict.COMPLETE:
        raise RuntimeError(f"our pass is {report.verdict}: {[disk.error for disk in report.disks]}")
    notes = [note.code for disk in report.disks for note in disk.notes]
    if notes:
        raise RuntimeError(f"our pass did not go as it was planned: {notes}")
    if not report.read_back_blocks and report.bytes:
        raise RuntimeError("nothing of our pass was read back")
    return report


@asynccontextmanager
async def passes_between(directory: Directory, vm: str, sr: str) -> AsyncIterator[Passes]:
    """From the VM's pool to that of the SR; what the engine keeps is in files, as a server's is."""
    source, target = await directory.pool_of_vm(vm), await directory.pool_of_sr(sr)
    with (
        tempfile.TemporaryDirectory(prefix="xo-warmig-bench-") as name,
        closing(Database(url_in(Path(name)))) as database,
    ):
        tables = TableFiles(Path(name) / "hashes")
        kept = DatabaseStore(database)
        around = Surroundings(directory, kept, Streams(), SystemClock(), Settings(), Pacing(), tables)
        yield Passes(around, source, target, await source.read_vm(vm), sr)


class Ends(NamedTuple):
    """Passes between two pools, and what is copied between them."""

    passes: Passes
    pairs: list[Pair]


@asynccontextmanager
async def ends_of(site: Site) -> AsyncIterator[Ends]:
    """A snapshot and a target disk for each disk of the first pool's first VM."""
    vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
    async with connected(site) as directory, passes_between(directory, vm, sr) as passes:
        source, target = await directory.pool_of_vm(vm), await directory.pool_of_sr(sr)
        pairs = []
        for disk in (await source.read_vm(vm)).disks:
            snapshot = await source.snapshot_disk(disk.vdi, tag=f"bench/{disk.device}", epoch=1)
            copy = await target.create_disk(disk, sr=sr, migration=str(uuid.uuid4()), epoch=1)
            pairs.append(Pair(disk.vdi, snapshot, copy, disk.virtual_size_bytes, disk.image_format))
        yield Ends(passes, pairs)


def full_pass(pairs: Sequence[Pair], *, way: Way, connections: int, most: int = 1) -> PassPlan:
    """All of the disks, side by side, each over as many connections, or up to ``most`` where they read faster."""
    disks = [
        DiskPassPlan(
            disk=pair.disk,
            read_vdi=pair.snapshot,
            base=None,
            target_vdi=pair.target,
            virtual_size_bytes=pair.size_bytes,
            skip_zeros=True,
            image_format=pair.image_format,
            way=way,
            connections=connections,
            most_connections=most,
        )
        for pair in pairs
    ]
    return PassPlan(number=1, kind=PassKind.FULL, disks=disks)
