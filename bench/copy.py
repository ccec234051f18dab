"""Our full pass beside its limits, over HTTP, HTTPS, NBD and NBD with TLS, in turn and between the same two pools.

``python -m bench.copy [http https nbd nbds] [--all] [--json]``. All read the same snapshots and write all of the same disks, which are
full. Ours is the pass that a migration runs, hashed and marked on its way as always: from opening both ends until the target's task has
confirmed it, both control domains have let go, and a sample of it was read back. A yardstick's time ends when its import's answer does.
One disk of 2 GiB in five pairs of ours and its limit, the other yardsticks in the first two rounds only; four disks of 256 MiB in two
pairs, without goals (``--all``: as many runs, of 2 GiB each).
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import curl, nbdcopy
from bench.passes import Ends, ends_of, full_pass
from bench.relay import relay
from bench.result import Figure, Goal, Result, figure, tell
from bench.side import Side
from bench.site import two_pools
from bench.turns import Run, Taken, Turn, in_turn, ratios
from xo_warmig.model.passes import Way
from xo_warmig.model.units import GIB, MIB
from xo_warmig.replication.choosing import MOST_CONNECTIONS, connections_for
from xo_warmig.simulator.launch import Site

ALLOCATED_BYTES = 2 * GIB
PAIRS, FEWER_PAIRS = 5, 2
GIGABYTE = 1e9
MOST_PROCESSOR_PLAIN, MOST_PROCESSOR_TLS = 0.6, 2.0  # seconds per GB


class Kind(NamedTuple):
    """One way to copy: what both pools speak, and what ours is measured by, at least so much of it."""

    https: bool
    nbd_purpose: str
    ours: str
    limit: str
    at_least: float


KINDS = {
    "http": Kind(False, "", "ours", "curl", 1.0),
    "https": Kind(True, "", "ours", "relay", 0.9),
    "nbd": Kind(False, "insecure_nbd", "ours, 1 connection", "nbdcopy | curl", 0.9),
    "nbds": Kind(True, "nbd", "ours", "relay", 0.9),
}


class Yardsticks:
    """What others do with the same disks; four disks by four of them at once."""

    def __init__(self, site: Site, ends: Ends) -> None:
        self.source, self.target = Side(site.pools[0]), Side(site.pools[1])
        self._ends = ends
        self._lengths = [self.source.vhd_length(pair.snapshot) for pair in ends.pairs]

    def curl(self) -> Run:
        return self._streams(curl.pipe, self._lengths)

    def relay(self) -> Run:
        return self._streams(relay, self._lengths)

    def nbdcopy_and_curl(self) -> Run:
        return self._streams(nbdcopy.pipe, [pair.size_bytes for pair in self._ends.pairs])

    def nbdcopy(self, into: str) -> Run:
        return partial(asyncio.to_thread, nbdcopy.read, self.source, self._ends.pairs[0].snapshot, into)

    def _streams(self, pipe: Callable[[Side, str, Side, str, int], None], lengths: Sequence[int]) -> Run:
        async def run() -> None:
            async with asyncio.TaskGroup() as group:
                for pair, length in zip(self._ends.pairs, lengths, strict=True):
                    work = asyncio.to_thread(pipe, self.source, pair.snapshot, self.target, pair.target, length)
                    group.create_task(work)

        return run


@contextmanager
def yardsticks(site: Site, ends: Ends) -> Iterator[Yardsticks]:
    """Signed in, and out in the end."""
    found = Yardsticks(site, ends)
    try:
        yield found
    finally:
        found.source.log_out()
        found.target.log_out()


def runs_of(kind: Kind, ends: Ends, others: Yardsticks) -> dict[str, Run]:
    """Ours and its limits, by name."""

    async def ours(way: Way, connections: int, most: int = 1) -> None:
        await ends.passes.carry_out(full_pass(ends.pairs, way=way, connections=connections, most=most))

    several = connections_for(len(ends.pairs))
    if not kind.nbd_purpose:
        return {"ours": partial(ours, Way.VHD, 1), "relay": others.relay(), "curl": others.curl()}
    as_migrated = partial(ours, Way.NBD, several, MOST_CONNECTIONS)
    runs: dict[str, Run] = {"ours": as_migrated, "ours, 1 connection": partial(ours, Way.NBD, 1)}
    return runs | ({"relay": others.relay()} if kind.https else {"nbdcopy | curl": others.nbdcopy_and_curl()})


async def measure(name: str, disks: int, allocated_bytes: int, pairs: int) -> tuple[dict[str, Figure], list[Goal]]:
    """One kind of copy, of so many disks together."""
    kind = KINDS[name]
    with two_pools(
        disks=disks,
        allocated_bytes=allocated_bytes,
        size_bytes=allocated_bytes,
        https=kind.https,
        nbd_purpose=kind.nbd_purpose,
    ) as site:
        async with ends_of(site) as ends:
            with yardsticks(site, ends) as others, tempfile.TemporaryDirectory(prefix="xo-warmig-bench-") as directory:
                compared = (kind.ours, kind.limit)
                turns = {
                    each: Turn(run, pairs if each in compared else min(pairs, FEWER_PAIRS))
                    for each, run in runs_of(kind, ends, others).items()
                }
                if kind.nbd_purpose and disks == 1:
                    file = str(Path(directory) / "disk")
                    turns["nbdcopy to null:"] = Turn(others.nbdcopy("null:"), FEWER_PAIRS)
                    turns["nbdcopy to a file"] = Turn(others.nbdcopy(file), FEWER_PAIRS)
                taken = await in_turn(turns)
    return figures_of(f"{name}, {disks} disk{'s'[: disks - 1]}", kind, taken, disks * allocated_bytes, goals=disks == 1)


def figures_of(
    title: str, kind: Kind, taken: dict[str, list[Taken]], copied_bytes: int, *, goals: bool
) -> tuple[dict[str, Figure], list[Goal]]:
    """Rates, processor time, and ours beside each yardstick that copies the same."""
    figures: dict[str, Figure] = {}
    for way, runs in taken.items():
        figures[f"{title}: {way}"] = figure([copied_bytes / MIB / run.seconds for run in runs], "MiB/s")
        used = [run.processor_seconds / (copied_bytes / GIGABYTE) for run in runs]
        figures[f"{title}: {way}, processor"] = figure(used, "s/GB")
    for way in taken:
        if not way.startswith(("ours", "nbdcopy to")):
            for ours in (each for each in taken if each.startswith("ours")):
                figures[f"{title}: {ours} / {way}"] = figure(ratios(taken, ours, way), "")
    if not goals:
        return figures, []
    most = MOST_PROCESSOR_TLS if kind.https else MOST_PROCESSOR_PLAIN
    return figures, [
        Goal(figure=f"{title}: {kind.ours} / {kind.limit}", at_least=kind.at_least),
        Goal(figure=f"{title}: ours, processor", at_most=most),
    ]


async def measure_all(kinds: Sequence[str], *, everything: bool) -> Result:
    """One disk, and four."""
    figures: dict[str, Figure] = {}
    goals: list[Goal] = []
    for name in kinds:
        each_of_four = ALLOCATED_BYTES if everything else ALLOCATED_BYTES // 8
        for disks, allocated, pairs in (
            (1, ALLOCATED_BYTES, PAIRS),
            (4, each_of_four, PAIRS if everything else FEWER_PAIRS),
        ):
            more, wanted = await measure(name, disks, allocated, pairs)
            figures |= more
            goals += wanted
    return Result(name="copy", figures=figures, goals=goals)


def main() -> int:
    """Run it and tell."""
    arguments = sys.argv[1:]
    kinds = [each for each in arguments if not each.startswith("--")] or list(KINDS)
    return tell(asyncio.run(measure_all(kinds, everything="--all" in arguments)), as_json="--json" in arguments)


if __name__ == "__main__":
    sys.exit(main())
