"""A pool of 1,000 VMs and 50 clients: how soon all its objects are answered, how soon all clients are told of a change, and the memory.

``python -m bench.inventory [--json]``. Half of the VMs run. Clients are as pages of Xen Orchestra: each is told of every object that
changes. A change is counted from when it is asked of the pool, by its own API, to when the last client has it.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple

from bench.calling import Call, answer_times, percentile
from bench.footprint import footprint
from bench.migrating import Serving, serving
from bench.result import Goal, Result, figure, tell
from bench.side import Side
from bench.site import put_behind, site_in_memory
from bench.watchers import PATIENCE_SECONDS, Watcher, watchers
from xo_warmig.model.units import GIB, MIB
from xo_warmig.simulator.site import DiskConfig, PoolConfig, SiteConfig, VmConfig

VMS = 1000
CLIENTS = 50
READINGS = 10
CHANGES = 40
MOST_SECONDS = 1.5
MOST_DELAY_SECONDS = 1.0
MOST_BYTES = 512 * MIB
SLOWEST = "a change, told to 50 clients: the slowest"
LARGEST = "memory, at its largest"
CALLS: list[Call] = [("warmMigration.list", {}), ("system.methodSignature", {"method": "vm.warmMigration"})]


class Looked(NamedTuple):
    """What something gave, how long it took, what it took of the server, and how soon others were answered meanwhile (milliseconds)."""

    value: Any
    seconds: float
    processor_seconds: float
    most_bytes: int
    answers: list[float]


def pools() -> SiteConfig:
    """Two disks, a CD drive and an interface each."""
    disks = [DiskConfig(size_bytes=GIB)] * 2
    states = ("Running", "Halted")
    vms = [
        VmConfig(name_label=f"vm-{n}", power_state=states[n % 2], memory_bytes=32 * MIB, disks=disks)
        for n in range(VMS)
    ]
    return SiteConfig(pools=[PoolConfig(name="pool", vms=vms)])


async def looked(all_of_it: Serving, work: Awaitable[Any]) -> Looked:
    """Do it, and look on."""
    async with footprint(all_of_it.server.pid) as seen:
        processor, begun = all_of_it.server.processor_seconds(), time.monotonic()
        working = asyncio.create_task(_ended(work))
        answers = await answer_times(all_of_it.client, CALLS, working)
        value, ended = await working
        processor = all_of_it.server.processor_seconds() - processor
        return Looked(value, ended - begun, processor, seen.most_bytes, answers)


async def _ended(work: Awaitable[Any]) -> tuple[Any, float]:
    """What it gave, and when."""
    return await work, time.monotonic()


async def timed(work: Awaitable[Any]) -> float:
    begun = time.monotonic()
    await work
    return time.monotonic() - begun


async def readings(watcher: Watcher) -> list[float]:
    """Seconds of each, one after the other."""
    return [await timed(watcher.all_objects()) for _ in range(READINGS)]


async def changed(side: Side, marks: dict[str, str], everybody: list[Watcher]) -> list[float]:
    """Describe each VM by its mark, as fast as the pool takes it; of each the seconds until the last client was told."""
    seen = [each.seen(mark) for mark in marks.values() for each in everybody]

    def describe() -> list[float]:
        begun = []
        for vm, mark in marks.items():
            begun.append(time.monotonic())
            side.call("VM.set_name_description", vm, mark)
        return begun

    begun = await asyncio.to_thread(describe)
    last = await asyncio.wait_for(asyncio.gather(*seen), PATIENCE_SECONDS)
    count = len(everybody)
    return [max(last[n * count : (n + 1) * count]) - each for n, each in enumerate(begun)]


async def one_by_one(side: Side, vms: list[str], everybody: list[Watcher]) -> list[float]:
    """Each once the one before was told."""
    return [(await changed(side, {vm: f"<change {n}>"}, everybody))[0] for n, vm in enumerate(vms)]


async def first_reading(url: str, token: str) -> int:
    """By the first client that there is: the pool is read for it."""
    async with watchers(url, token, 1) as (only,):
        return await only.all_objects()


async def measure() -> Result:
    """With one server from its start on."""
    with site_in_memory(pools(), written_bytes=GIB) as site:
        put_behind(site)
        async with serving(site) as all_of_it:
            side = Side(site.pools[0])
            vms = list(await asyncio.to_thread(side.call, "VM.get_all"))
            some = random.Random(1).sample(vms, CHANGES)
            access = all_of_it.server.access
            idle = await looked(all_of_it, asyncio.sleep(3.0))
            first = await looked(all_of_it, first_reading(access.url, access.token))
            async with watchers(access.url, access.token, CLIENTS) as everybody:
                quiet = await looked(all_of_it, asyncio.sleep(3.0))
                reading = await looked(all_of_it, readings(everybody[0]))
                changing = await looked(all_of_it, one_by_one(side, some, everybody))
                storm = await looked(
                    all_of_it, changed(side, {vm: f"<storm {n}>" for n, vm in enumerate(vms)}, everybody)
                )
                crowd = await looked(all_of_it, asyncio.gather(*(each.all_objects() for each in everybody)))
    phases = {
        "idle": idle,
        "the pool is read": first,
        "50 clients": quiet,
        "reading": reading,
        "a change at a time": changing,
        "1,000 changes": storm,
        "50 readings at once": crowd,
    }
    figures = {
        "an answer with all objects": figure([first.value / MIB], "MiB"),
        "all objects": figure(reading.value, "s"),
        "all objects, the first time": figure([first.seconds], "s"),
        "all objects, the first time: server's processor": figure([first.processor_seconds], "s"),
        "all objects, for 50 clients at once": figure([crowd.seconds], "s"),
        "a change, told to 50 clients": figure(changing.value, "s"),
        SLOWEST: figure([max(changing.value)], "s"),
        "1,000 changes as fast as the pool takes them, each": figure(storm.value, "s"),
    }
    figures |= {f"p99 of other answers, {name}": percentile(each.answers, 99) for name, each in phases.items()}
    figures |= {f"memory, {name}": figure([each.most_bytes / MIB], "MiB") for name, each in phases.items()}
    figures[LARGEST] = figure([max(each.most_bytes for each in phases.values()) / MIB], "MiB")
    goals = [
        Goal(figure="all objects", at_most=MOST_SECONDS),
        Goal(figure=SLOWEST, at_most=MOST_DELAY_SECONDS),
        Goal(figure=LARGEST, at_most=MOST_BYTES / MIB),
    ]
    return Result(name="inventory", figures=figures, goals=goals)


def main() -> int:
    """Run it and tell."""
    return tell(asyncio.run(measure()), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
