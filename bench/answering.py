"""How soon the API answers while four disks are copied at full speed, and while nothing is.

``python -m bench.answering [--json]``. A client of its own process calls twenty times a second, as many pages and scripts would, one
call after the other, while the server copies: by VHD exports and NBD in clear, and by NBD over TLS, which has the processors busiest.
Real pools are other machines: the simulated ones get only what time the server, and who asks it, leave. Beside it a server is asked
that does nothing but answer.
"""

import asyncio
import contextlib
import os
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from bench.echo import echo_times
from bench.migrating import Serving, begin, serving
from bench.result import Figure, Goal, Result, figure, tell
from bench.site import site_in_memory
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig

EACH_SECONDS = 1 / 20
DISKS = 4
ALLOCATED_BYTES = 3 * GIB // 2
MOST_MILLISECONDS = 50.0
BEHIND = 10  # how much nicer than everybody else the simulated pools are


class Case(NamedTuple):
    """How disks are read."""

    title: str
    transport: str
    secure: bool


CASES = [
    Case("VHD exports", "vhd", secure=False),
    Case("NBD", "auto", secure=False),
    Case("NBD with TLS", "auto", secure=True),
]


def pools_of(case: Case) -> SiteConfig:
    disks = [DiskConfig(size_bytes=ALLOCATED_BYTES, allocated_bytes=ALLOCATED_BYTES)] * DISKS
    vm = VmConfig(name_label="bench", power_state="Halted", disks=disks)
    purpose = "nbd" if case.secure else "insecure_nbd"
    source = PoolConfig(name="source", vms=[vm], https=case.secure, nbd_purpose=purpose)
    target = PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, https=case.secure)
    return SiteConfig(pools=[source, target])


def put_behind(site: Site) -> None:
    """The pools' processes, with all threads that they have; those that these start are as nice."""
    for pool in site.pools:
        for thread in Path(f"/proc/{pool.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), BEHIND)


async def answer_times(all_of_it: Serving, migration: str, over: "asyncio.Future[Any]") -> list[float]:
    """Milliseconds of each answer, until it is over. A call that is late is counted late: the next one is not put off for it."""
    calls: list[tuple[str, dict[str, str]]] = [
        ("warmMigration.list", {}),
        ("warmMigration.get", {"id": migration}),
        ("system.methodSignature", {"method": "vm.warmMigration"}),
    ]
    took: list[float] = []
    due = time.monotonic()
    for method, parameters in cycle(calls):
        if over.done():
            return took
        await all_of_it.client.call(method, **parameters)
        took.append((time.monotonic() - due) * 1000)
        due = max(due + EACH_SECONDS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
    raise AssertionError


async def measure(case: Case) -> dict[str, Figure]:
    """While nothing is copied, and while all disks are."""
    with site_in_memory(pools_of(case), written_bytes=2 * DISKS * ALLOCATED_BYTES) as site:
        put_behind(site)
        async with serving(site) as all_of_it:
            migration = await begin(all_of_it.client, site, 0, transport=case.transport)
            begun = time.monotonic()
            ending = asyncio.ensure_future(all_of_it.ended(migration))
            try:
                busy, echoes = await asyncio.gather(
                    answer_times(all_of_it, migration, ending), echo_times(EACH_SECONDS, ending)
                )
                seconds = time.monotonic() - begun
            finally:
                ending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await ending
            idle = await answer_times(all_of_it, migration, asyncio.ensure_future(asyncio.sleep(5.0)))
    title = case.title
    return {
        f"{title}: p50": percentile(busy, 50),
        f"{title}: p99": percentile(busy, 99),
        f"{title}: p50 of an echo": percentile(echoes, 50),
        f"{title}: p99 of an echo": percentile(echoes, 99),
        f"{title}: p50 of an idle server": percentile(idle, 50),
        f"{title}: p99 of an idle server": percentile(idle, 99),
        f"{title}: copied at": figure([DISKS * ALLOCATED_BYTES / MIB / seconds], "MiB/s"),
    }


def percentile(milliseconds: list[float], percent: int) -> Figure:
    """With the fastest and the slowest beside it."""
    ordered = sorted(milliseconds)
    value = ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
    return Figure(median=value, least=ordered[0], most=ordered[-1], unit="ms", runs=len(ordered))


async def measure_all() -> Result:
    """All cases, one after the other."""
    figures: dict[str, Figure] = {}
    for case in CASES:
        figures |= await measure(case)
    goals = [Goal(figure=f"{case.title}: p99", at_most=MOST_MILLISECONDS) for case in CASES]
    return Result(name="answering", figures=figures, goals=goals)


def main() -> int:
    """Run it and tell."""
    return tell(asyncio.run(measure_all()), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
