"""Our full pass over NBD between pools that are near and far: what a round trip of 1, 10 and 50 ms leaves of the rate without one.

All rates are of one run, in turn, so that what else the machine does falls on all of them. Each pass is whole: from opening both ends
until the target's task has confirmed it and a sample of it was read back, with the round trips of all calls that this takes.
"""

import asyncio
import resource
import sys
import time
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack

from bench.passes import Ends, ends_of, full_pass
from bench.result import Goal, Result, figure, tell
from bench.site import two_pools
from xo_warmig.model.passes import Way
from xo_warmig.model.units import GIB, KIB, MIB
from xo_warmig.replication.choosing import MOST_CONNECTIONS, connections_for
from xo_warmig.simulator.launch import Site

ROUNDS = 3
ALLOCATED_BYTES = GIB  # the calls of a pass take as long for a small disk
MILLISECONDS = (0, 1, 10, 50)
MANY_DISKS = 8
MANY_ALLOCATED_BYTES = 128 * MIB
MANY_MILLISECONDS = 50


def far_pools(milliseconds: int, *, disks: int, allocated_bytes: int) -> AbstractContextManager[Site]:
    """Two that are so far away; disks are served over NBD."""
    return two_pools(
        disks=disks, allocated_bytes=allocated_bytes, nbd_purpose="insecure_nbd", latency_seconds=milliseconds / 1000
    )


async def seconds_of(ends: Ends) -> float:
    """Of one pass."""
    begun = time.monotonic()
    several = connections_for(len(ends.pairs))
    await ends.passes.carry_out(full_pass(ends.pairs, way=Way.NBD, connections=several, most=MOST_CONNECTIONS))
    return time.monotonic() - begun


async def rates(sites: dict[int, Site]) -> dict[int, list[float]]:
    """MiB/s by milliseconds, a round's all beside each other."""
    found: dict[int, list[float]] = {each: [] for each in sites}
    async with AsyncExitStack() as stack:
        copies = {each: await stack.enter_async_context(ends_of(site)) for each, site in sites.items()}
        for number in range(-1, ROUNDS):
            turns = list(copies.items())
            for each, ends in turns if number % 2 else reversed(turns):
                seconds = await seconds_of(ends)
                if number >= 0:  # the first round only warms up
                    found[each].append(ALLOCATED_BYTES / MIB / seconds)
    return found


async def most_resident_mib(site: Site) -> float:
    """Of this process, which copies eight disks at once after all that it did before."""
    async with ends_of(site) as ends:
        await seconds_of(ends)
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
