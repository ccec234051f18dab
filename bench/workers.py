"""Four disks copied by threads of one process, and by a process each: what docs/decisions/0001 rests on.

``python -m bench.workers [http https nbd nbds] [--json]``. Both ways run in children of this process that sign in, wait for the word,
and run the pass that a migration runs. The time is until the last has ended; the memory is the sum of the children's own at its most.
"""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from bench.copy import GIGABYTE, KINDS
from bench.passes import Pair, ends_of, full_pass, passes_between
from bench.result import Figure, Result, figure, tell
from bench.site import credentials, signed_in, two_pools
from bench.turns import Taken, Turn, in_turn, ratios
from xo_warmig.model.passes import Way
from xo_warmig.model.servers import ServerCredentials
from xo_warmig.model.units import KIB, MIB
from xo_warmig.replication.choosing import connections_for
from xo_warmig.simulator.launch import Site

DISKS, ALLOCATED_BYTES, ROUNDS = 4, 256 * MIB, 3
COPY = "--copy"


class Task(msgspec.Struct, frozen=True):
    """What one child copies."""

    servers: list[ServerCredentials]
    vm: str
    sr: str
    pairs: list[Pair]
    way: Way
    connections: int


class Spent(msgspec.Struct, frozen=True):
    """By a child, on its copy; the memory is its largest resident set, a part of which all children share."""

    processor_seconds: float
    resident_bytes: int


async def copy(task: Task) -> None:
    """A child's life."""
    async with signed_in(task.servers) as directory, passes_between(directory, task.vm, task.sr) as passes:
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            before = resource.getrusage(resource.RUSAGE_SELF)
            await passes.carry_out(full_pass(task.pairs, way=task.way, connections=task.connections))
            used = resource.getrusage(resource.RUSAGE_SELF)
            seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            print(msgspec.json.encode(Spent(seconds, used.ru_maxrss * KIB)).decode(), flush=True)


class Crew:
    """Children that copy side by side."""

    def __init__(self, children: list[asyncio.subprocess.Process]) -> None:
        self._children = children
        self.spent: list[list[Spent]] = []

    async def work(self) -> None:
        """Copy all that they have, once."""
        for child in self._children:
            assert child.stdin is not None
            child.stdin.write(b"go\n")
        lines = await asyncio.gather(*(line_of(child) for child in self._children))
        self.spent.append([msgspec.json.decode(line, type=Spent) for line in lines])


@asynccontextmanager
async def crew(tasks: Sequence[Task]) -> AsyncIterator[Crew]:
    """One child for each task, signed in; gone in the end."""
    children = []
    try:
        for task in tasks:
            command = [sys.executable, "-m", "bench.workers", COPY, msgspec.json.encode(task).decode()]
            pipe = asyncio.subprocess.PIPE
            children.append(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
        for child in children:
            await line_of(child)
        yield Crew(children)
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
            await child.wait()


async def line_of(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    line = await child.stdout.readline()
    if not line:
        raise RuntimeError("a child ended before its copy did")
    return line


def tasks_of(site: Site, pairs: Sequence[Pair], way: Way, *, each_alone: bool) -> list[Task]:
    """All disks to one child, or one to each."""
    servers = [credentials(pool, str(number)) for number, pool in enumerate(site.pools)]
    shares = [[pair] for pair in pairs] if each_alone else [list(pairs)]
    vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid
    return [Task(servers, vm, sr, share, way, connections_for(len(pairs))) for share in shares]


async def measure(name: str) -> dict[str, Figure]:
    """Both ways in turn, over one kind of connection."""
    kind = KINDS[name]
    way = Way.NBD if kind.nbd_purpose else Way.VHD
    with two_pools(
        disks=DISKS,
        allocated_bytes=ALLOCATED_BYTES,
        size_bytes=ALLOCATED_BYTES,
        https=kind.https,
        nbd_purpose=kind.nbd_purpose,
    ) as site:
        async with (
            ends_of(site) as ends,
            crew(tasks_of(site, ends.pairs, way, each_alone=False)) as threads,
            crew(tasks_of(site, ends.pairs, way, each_alone=True)) as processes,
        ):
            crews = {"threads": threads, "processes": processes}
            taken = await in_turn({each: Turn(crew.work, ROUNDS) for each, crew in crews.items()})
    figures: dict[str, Figure] = {}
    for each, runs in taken.items():
        figures |= figures_of(f"{name}: {each}", runs, crews[each].spent[-ROUNDS:])
    return figures | {f"{name}: threads / processes": figure(ratios(taken, "threads", "processes"), "")}


def figures_of(title: str, runs: Sequence[Taken], spent: Sequence[Sequence[Spent]]) -> dict[str, Figure]:
    copied_bytes = DISKS * ALLOCATED_BYTES
    used = [sum(child.processor_seconds for child in children) / (copied_bytes / GIGABYTE) for children in spent]
    memory = [sum(child.resident_bytes for child in children) / MIB for children in spent]
    return {
        title: figure([copied_bytes / MIB / run.seconds for run in runs], "MiB/s"),
        f"{title}, processor": figure(used, "s/GB"),
        f"{title}, memory": figure(memory, "MiB"),
    }


async def measure_all(kinds: Sequence[str]) -> Result:
    """One kind after the other. There is no goal: a decision was made of it once."""
    figures: dict[str, Figure] = {}
    for name in kinds:
        figures |= await measure(name)
    return Result(name="workers", figures=figures, goals=[])


def main() -> int:
    """Run it and tell; or be a child."""
    arguments = sys.argv[1:]
    if arguments[:1] == [COPY]:
        asyncio.run(copy(msgspec.json.decode(arguments[1], type=Task)))
        return 0
    kinds = [each for each in arguments if not each.startswith("--")] or list(KINDS)
    return tell(asyncio.run(measure_all(kinds)), as_json="--json" in arguments)


if __name__ == "__main__":
    sys.exit(main())
