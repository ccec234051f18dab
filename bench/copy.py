"""Our full pass beside ``curl export | curl import`` of the same VHD between the same two pools, in turn, over plain HTTP.

Both read the same snapshot and write all of the same disk. Ours is the pass that a migration runs, from opening both ends until the
target's task has confirmed it and both control domains have let go; curl's time ends when its import's answer does.
"""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable, Coroutine

from bench.curl import CurlSide, exact_length, pipe
from bench.result import Goal, Result, figure, tell
from bench.site import connected, two_pools
from xo_warmig.disks.meter import Meter
from xo_warmig.model.passes import DiskPassPlan, PassKind, PassPlan, Verdict
from xo_warmig.model.units import GIB, MIB
from xo_warmig.replication.clock import SystemClock
from xo_warmig.replication.ports import SourcePool, TargetPool
from xo_warmig.replication.run import Begun, Ways, run_pass
from xo_warmig.simulator.launch import Site

PAIRS = 5
ALLOCATED_BYTES = 2 * GIB


class Ends:
    """The two pools and what is copied between them."""

    def __init__(self, source: SourcePool, target: TargetPool, snapshot: str, size_bytes: int, sr: str) -> None:
        self.source = source
        self.target = target
        self.snapshot = snapshot
        self.size_bytes = size_bytes
        self.sr = sr


Turn = Callable[[str], Coroutine[None, None, None]]
"""Copies the snapshot onto a disk."""


async def our_pass(ends: Ends, vdi: str) -> None:
    """One full pass."""
    disk = DiskPassPlan(
        disk=ends.snapshot,
        read_vdi=ends.snapshot,
        base=None,
        target_vdi=vdi,
        virtual_size_bytes=ends.size_bytes,
        skip_zeros=True,
    )
    plan = PassPlan(number=1, kind=PassKind.FULL, disks=[disk])
    ways = Ways(ends.source, ends.target, SystemClock())
    begun = Begun(time.time(), time.monotonic(), None)
    run = await run_pass(plan, ways, begun=begun, meters={ends.snapshot: Meter()})
    if run.report.verdict is not Verdict.COMPLETE:
        raise RuntimeError(f"our pass is {run.report.verdict}: {run.error}")


async def measure(site: Site) -> Result:
    """Five pairs, the order within a pair changing."""
    ours: list[float] = []
    curls: list[float] = []
    source_side, target_side = CurlSide(site.pools[0]), CurlSide(site.pools[1])
    async with connected(site) as directory:
        source = await directory.pool_of_vm(site.pools[0].vms[0].uuid)
        target = await directory.pool_of_sr(site.pools[1].srs[0].uuid)
        vm = await source.read_vm(site.pools[0].vms[0].uuid)
        snapshot = await source.snapshot_disk(vm.disks[0].vdi, tag="bench/1", epoch=1)
        ends = Ends(source, target, snapshot, vm.disks[0].virtual_size_bytes, site.pools[1].srs[0].uuid)
        length = await asyncio.to_thread(exact_length, source_side, snapshot)

        async def our_turn(vdi: str) -> None:
            await our_pass(ends, vdi)

        async def curl_turn(vdi: str) -> None:
            await asyncio.to_thread(pipe, source_side, snapshot, target_side, vdi, length)

        vdi = await target.create_disk(vm.disks[0], sr=ends.sr, migration=str(uuid.uuid4()), epoch=1)

        async def seconds_of(turn: Turn) -> float:
            # All write over the same disk, so that the machine's allocation of memory for its files, which takes longer than the copy
            # and comes at random, falls into the pair that only warms up; and each begins with nothing left to be written to disk.
            await asyncio.to_thread(os.sync)
            start = time.monotonic()
            await turn(vdi)
            return time.monotonic() - start

        for number in range(-1, PAIRS):
            turns = [(our_turn, ours), (curl_turn, curls)]
            for turn, seconds in turns if number % 2 else reversed(turns):
                took = await seconds_of(turn)
                if number >= 0:  # the first pair only warms up
                    seconds.append(took)
        await target.destroy_disk(vdi)
    source_side.log_out()
    target_side.log_out()
    ratios = [curl / our for our, curl in zip(ours, curls, strict=True)]
    mebibytes = ALLOCATED_BYTES / MIB
    return Result(
        name="copy",
        figures={
            "ours": figure([mebibytes / seconds for seconds in ours], "MiB/s"),
            "curl": figure([mebibytes / seconds for seconds in curls], "MiB/s"),
            "ours/curl": figure(ratios, ""),
        },
        goals=[Goal(figure="ours/curl", at_least=0.9)],
    )


def main() -> int:
    """Run it and tell."""
    with two_pools(disks=1, allocated_bytes=ALLOCATED_BYTES) as site:
        return tell(asyncio.run(measure(site)), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
