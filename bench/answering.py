"""How soon the API answers while four disks are copied at full speed, and while nothing is.

``python -m bench.answering [--json]``. A client of its own process calls twenty times a second, as many pages and scripts would, one
call after the other, while the server copies: by VHD exports and NBD in clear, and by NBD over TLS, which has the processors busiest.
Real pools are other machines: the simulated ones get only what time the server, and who asks it, leave. Beside it a server is asked
that does nothing but answer.
"""

import asyncio
import contextlib
import sys
import time
from typing import NamedTuple

from bench.calling import EACH_SECONDS, Call, answer_times, percentile
from bench.echo import echo_times
from bench.migrating import begin, serving
from bench.result import Figure, Goal, Result, figure, tell
from bench.site import put_behind, site_in_memory
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig

DISKS = 4
ALLOCATED_BYTES = 3 * GIB // 2
MOST_MILLISECONDS = 50.0


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


async def measure(case: Case) -> dict[str, Figure]:
    """While nothing is copied, and while all disks are."""
    with site_in_memory(pools_of(case), written_bytes=2 * DISKS * ALLOCATED_BYTES) as site:
        put_behind(site)
        async with serving(site) as all_of_it:
            migration = await begin(all_of_it.client, site, 0, transport=case.transport)
            calls: list[Call] = [
                ("warmMigration.list", {}),
                ("warmMigration.get", {"id": migration}),
                ("system.methodSignature", {"method": "vm.warmMigration"}),
            ]
            begun = time.monotonic()
            ending = asyncio.ensure_future(all_of_it.ended(migration))
            try:
                busy, echoes = await asyncio.gather(
                    answer_times(all_of_it.client, calls, ending), echo_times(EACH_SECONDS, ending)
                )
                seconds = time.monotonic() - begun
            finally:
                ending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await ending
            idle = await answer_times(all_of_it.client, calls, asyncio.ensure_future(asyncio.sleep(5.0)))
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
