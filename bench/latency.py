"""Our full pass over NBD between pools that are near and far: what a round trip of 1, 10 and 50 ms leaves of the rate without one.

All rates are of one run, in turn, so that what else the machine does falls on all of them. Each pass is whole: from opening both ends
until the target's task has confirmed it.
"""

import asyncio
import resource
import sys
import time
import uuid
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from typing import NamedTuple

from bench.result import Goal, Result, figure, tell
from bench.site import connected, two_pools
from xo_warmig.disks.meter import Meter
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, Verdict, Way
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.choosing import MOST_CONNECTIONS, connections_for
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.run import Begun, Ways, run_pass
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi.directory import Directory

ROUNDS = 3
ALLOCATED_BYTES = 512 * MIB
MILLISECONDS = (0, 1, 10, 50)
MANY_DISKS = 8
MANY_ALLOCATED_BYTES = 128 * MIB
MANY_MILLISECONDS = 50


class Copying(NamedTuple):
    """What is copied again and again between two pools that are so far away."""

    ways: Ways
    plan: PassPlan

    async def seconds(self) -> float:
        """Of one pass."""
        start = time.monotonic()
        meters = {disk.disk: Meter() for disk in self.plan.disks}
        run = await run_pass(self.plan, self.ways, begun=Begun(time.time(), start, None), meters=meters)
        if run.report.verdict is not Verdict.COMPLETE:
            raise RuntimeError(f"our pass is {run.report.verdict}: {run.error}")
        if any(each.notes for each in run.report.disks):
            raise RuntimeError(f"it was not read over NBD alone: {run.report.disks[0].notes}")
        return time.monotonic() - start


def far_pools(milliseconds: int, *, disks: int, allocated_bytes: int) -> AbstractContextManager[Site]:
    """Two that are so far away; disks are served over NBD."""
    return two_pools(
        disks=disks, allocated_bytes=allocated_bytes, nbd_purpose="insecure_nbd", latency_seconds=milliseconds / 1000
    )


async def copying(directory: Directory, site: Site) -> Copying:
    """Between the two pools of a site."""
    vm_uuid, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
    source, target = await directory.pool_of_vm(vm_uuid), await directory.pool_of_sr(sr)
    vm = await source.read_vm(vm_uuid)
    disks = []
    for disk in vm.disks:
        snapshot = await source.snapshot_disk(disk.vdi, tag="bench/1", epoch=1)
        disks.append(
            DiskPassPlan(
                disk=disk.vdi,
                read_vdi=snapshot,
                base=None,
                target_vdi=await target.create_disk(disk, sr=sr, migration=str(uuid.uuid4()), epoch=1),
                virtual_size_bytes=disk.virtual_size_bytes,
                skip_zeros=True,
                way=Way.NBD,
                connections=connections_for(len(vm.disks)),
                most_connections=MOST_CONNECTIONS,
            )
        )
    plan = PassPlan(number=1, kind=PassKind.FULL, disks=disks)
    return Copying(Ways(source, target, SystemClock()), plan)


async def rates(sites: dict[int, Site]) -> dict[int, list[float]]:
    """MiB/s by milliseconds, a round's all beside each other."""
    found: dict[int, list[float]] = {each: [] for each in sites}
    async with AsyncExitStack() as stack:
        copies = {}
        for each, site in sites.items():
            copies[each] = await copying(await stack.enter_async_context(connected(site)), site)
        for number in range(-1, ROUNDS):
            turns = list(copies.items())
            for each, copy in turns if number % 2 else reversed(turns):
                seconds = await copy.seconds()
                if number >= 0:  # the first round only warms up
                    found[each].append(ALLOCATED_BYTES / MIB / seconds)
    return found


async def most_resident_mib(site: Site) -> float:
    """Of this process, which copies eight disks at once after all that it did before."""
    async with connected(site) as directory:
        await (await copying(directory, site)).seconds()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / MIB


def measure() -> Result:
    """All of it."""
    with ExitStack() as stack:
        sites = {
            each: stack.enter_context(far_pools(each, disks=1, allocated_bytes=ALLOCATED_BYTES))
            for each in MILLISECONDS
        }
        found = asyncio.run(rates(sites))
    with far_pools(MANY_MILLISECONDS, disks=MANY_DISKS, allocated_bytes=MANY_ALLOCATED_BYTES) as site:
        resident_mib = asyncio.run(most_resident_mib(site))
    figures = {f"{each} ms": figure(values, "MiB/s") for each, values in found.items()}
    for each in MILLISECONDS[1:]:
        ratios = [far / near for far, near in zip(found[each], found[0], strict=True)]
        figures[f"{each} ms/0 ms"] = figure(ratios, "")
    figures["resident, eight disks"] = figure([resident_mib], "MiB")
    return Result(
        name="latency",
        figures=figures,
        goals=[
            Goal(figure="10 ms/0 ms", at_least=0.8),
            Goal(figure="50 ms/0 ms", at_least=0.5),
            Goal(figure="resident, eight disks", at_most=300.0),
        ],
    )


def main() -> int:
    """Run it and tell."""
    return tell(measure(), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
