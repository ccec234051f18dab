"""The downtime of whole migrations with nothing left to send, part by part: what the report says, and what the pools saw.

``python -m bench.downtime [--json]``. Both pools speak TLS alone. Without delays in the simulator what remains is ours; with the costs
that a real xapi showed (reference/xapi.md section 10), a migration of Xen Orchestra's took 8.6 s there. The pools' own times are from
the source's being asked to shut down to the target's power state.
"""

import asyncio
import sys
from typing import Any, NamedTuple

from bench.control import ask
from bench.migrating import Serving, serving
from bench.result import Figure, Goal, Result, figure, tell
from bench.site import site_in_memory
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.units import MIB
from xo_warmig.simulator.delays import REAL
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

RUNS = 5
DISK = DiskConfig(size_bytes=64 * MIB, allocated_bytes=4 * MIB)
AS_MEASURED = REAL | {"guest_shutdown": 0.4, "shutdown": 0.0, "start": 0.4}  # to stop and to start 0.4 s each


class Case(NamedTuple):
    """What is migrated, between what, and the most seconds that the downtime may take."""

    title: str
    disks: int
    delays: dict[str, float]
    options: dict[str, str]
    most_seconds: float | None


class Seen(NamedTuple):
    """One migration's downtime."""

    report: dict[str, Any]
    pools_seconds: float
    calls: int
    attaches: int


def cases() -> list[Case]:
    """With ``verify`` none and sample, where the server knows the option."""
    options = {"verify none": {"verify": "none"}, "verify sample": {"verify": "sample"}}
    if "verify" not in WarmMigrationRequest.__struct_fields__:
        options = {"no verify": {}}
    (first, plain), *others = options.items()
    return [
        Case("no delays, 1 disk", 1, {}, plain, 0.3),
        Case("no delays, 8 disks", 8, {}, plain, 0.5),
        Case(f"real delays, 1 disk, {first}", 1, AS_MEASURED, plain, 2.5),
        *(Case(f"real delays, 1 disk, {name}", 1, AS_MEASURED, each, None) for name, each in others),
        Case(f"real delays, 8 disks, {first}", 8, AS_MEASURED, plain, None),
    ]


def pools_of(case: Case) -> SiteConfig:
    """As many VMs as there are runs, whose guests write nothing."""
    vms = [
        VmConfig(name_label=f"vm-{number}", disks=[DISK] * case.disks, guest=GuestConfig(changes_state=False))
        for number in range(RUNS)
    ]
    source = PoolConfig(name="source", vms=vms, https=True, nbd_purpose="nbd", delays=case.delays)
    target = PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, https=True, delays=case.delays)
    return SiteConfig(pools=[source, target])


async def measure(case: Case) -> dict[str, Figure]:
    """The figures of one case."""
    with site_in_memory(pools_of(case), written_bytes=2 * RUNS * case.disks * DISK.allocated_bytes) as site:
        async with serving(site) as all_of_it:
            seen = [await migrated(all_of_it, number, case) for number in range(RUNS)]
    title = case.title
    figures = {
        f"{title}: downtime": figure([each.report["downtime"]["seconds"] for each in seen], "s"),
        f"{title}: as the pools saw it": figure([each.pools_seconds for each in seen], "s"),
    }
    names = dict.fromkeys(part["name"] for each in seen for part in each.report["downtime"]["parts"])
    for name in names:
        figures[f"{title}: of it {name}"] = figure([part_of(each.report, name) for each in seen], "s")
    figures[f"{title}: calls in it"] = figure([each.calls for each in seen], "of both pools")
    figures[f"{title}: attaches in it"] = figure([each.attaches for each in seen], "of both pools")
    return figures


async def migrated(all_of_it: Serving, number: int, case: Case) -> Seen:
    """One VM's migration."""
    source, target = all_of_it.site.pools
    before = [(await ask(pool, "trace"))["number"] for pool in (source, target)]
    report = await all_of_it.migrate(number, startDestinationVm=True, **case.options)
    traces = [await ask(pool, f"trace?since={since}") for pool, since in zip((source, target), before, strict=True)]
    stopping = [call["started"] for call in traces[0]["calls"] if call["method"].endswith("VM.clean_shutdown")]
    running = [
        entry["time"]
        for entry in traces[1]["power"]
        if entry["vm"] == report["targetVm"] and entry["power_state"] == "Running"
    ]
    begin, end = min(stopping), min(running)

    def inside(kind: str) -> int:
        return sum(begin <= entry["started"] <= end for trace in traces for entry in trace[kind])

    return Seen(report, end - begin, inside("calls"), inside("transfers"))


def part_of(report: dict[str, Any], name: str) -> float:
    """Of the downtime, in seconds."""
    return float(sum(part["seconds"] for part in report["downtime"]["parts"] if part["name"] == name))


async def measure_all() -> Result:
    """All cases, one after the other."""
    figures: dict[str, Figure] = {}
    goals = []
    for case in cases():
        figures |= await measure(case)
        if case.most_seconds is not None:
            names = (f"{case.title}: downtime", f"{case.title}: as the pools saw it")
            goals += [Goal(figure=name, at_most=case.most_seconds) for name in names]
    return Result(name="downtime", figures=figures, goals=goals)


def main() -> int:
    """Run it and tell."""
    return tell(asyncio.run(measure_all()), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
