"""The memory of a server, with its children, that copies eight disks at full speed; and that of one with a disk of 1 TiB, nearly empty.

``python -m bench.memory [--json]``. By VHD exports and by NBD, each with a server of its own: the sum of proportional set sizes at its
largest. Beside each the server before it has anything to do.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.footprint import footprint
from bench.migrating import serving
from bench.result import Figure, Goal, Result, figure, tell
from bench.site import site_in_memory
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig

TIB = 1024 * GIB
MOST_BYTES = 300 * MIB
GROWTH_BYTES = 32 * MIB
EIGHT = [DiskConfig(size_bytes=8 * GIB, allocated_bytes=512 * MIB)] * 8
SMALL = [DiskConfig(size_bytes=1 * GIB, allocated_bytes=100 * MIB)]
LARGE = [DiskConfig(size_bytes=1 * TIB, allocated_bytes=100 * MIB)]
TRANSPORTS = {"vhd": "by VHD exports", "auto": "by NBD"}


class Looked(NamedTuple):
    """A server before and while it migrates, and how long that took."""

    idle_bytes: int
    most_bytes: int
    seconds: float


def pools_of(disks: Sequence[Sequence[DiskConfig]]) -> SiteConfig:
    """A halted VM for each list of disks: all is copied in one pass."""
    vms = [
        VmConfig(name_label=f"vm-{number}", power_state="Halted", disks=list(each)) for number, each in enumerate(disks)
    ]
    source = PoolConfig(name="source", vms=vms, nbd_purpose="insecure_nbd", sr_size_bytes=4 * TIB)
    target = PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, sr_size_bytes=4 * TIB)
    return SiteConfig(pools=[source, target])


async def look(site: Site, vm: int, transport: str) -> Looked:
    """Migrate that VM with a new server."""
    async with serving(site) as all_of_it:
        async with footprint(all_of_it.server.pid) as before:
            await asyncio.sleep(1.0)
        async with footprint(all_of_it.server.pid) as seen:
            begun = time.monotonic()
            await all_of_it.migrate(vm, transport=transport)
            return Looked(before.most_bytes, seen.most_bytes, time.monotonic() - begun)


def as_mebibytes(count_bytes: float) -> Figure:
    return figure([count_bytes / MIB], "MiB")


async def measure() -> Result:
    """Each VM once, in each way: its memory is what is asked for, not its time."""
    figures: dict[str, Figure] = {}
    goals = []
    for transport, by in TRANSPORTS.items():
        with site_in_memory(pools_of([EIGHT]), written_bytes=8 * GIB) as site:
            eight = await look(site, 0, transport)
        with site_in_memory(pools_of([SMALL, LARGE]), written_bytes=GIB) as site:
            small, large = await look(site, 0, transport), await look(site, 1, transport)
        figures |= {
            f"idle server ({by})": as_mebibytes(eight.idle_bytes),
            f"eight disks of 8 GiB {by}": as_mebibytes(eight.most_bytes),
            f"eight disks of 8 GiB {by}, rate": figure([8 * 512 / eight.seconds], "MiB/s"),
            f"a disk of 1 GiB {by}": as_mebibytes(small.most_bytes),
            f"a disk of 1 TiB {by}": as_mebibytes(large.most_bytes),
            f"1 TiB more than 1 GiB {by}": as_mebibytes(large.most_bytes - small.most_bytes),
            f"1 GiB with 100 MiB of data {by}": figure([small.seconds], "s"),
            f"1 TiB with 100 MiB of data {by}": figure([large.seconds], "s"),
        }
        goals += [
            Goal(figure=f"eight disks of 8 GiB {by}", at_most=MOST_BYTES / MIB),
            Goal(figure=f"1 TiB more than 1 GiB {by}", at_most=GROWTH_BYTES / MIB),
            Goal(figure=f"1 TiB with 100 MiB of data {by}", at_most=10.0),
        ]
    return Result(name="memory", figures=figures, goals=goals)


def main() -> int:
    """Run it and tell."""
    return tell(asyncio.run(measure()), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
