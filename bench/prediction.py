"""What was predicted of migrations against what was measured: by the plan before the start, and by the server before the cutover.

``python -m bench.prediction [--json]``. Twenty VMs of different sizes, one after the other through one server: how many disks, what they
store, and how fast the guest writes are drawn from a seed. Operations take what a real xapi showed, and disks travel at a rate that the
pools limit. The server knows nothing of these pools at first, so its first plans go by defaults.
"""

import asyncio
import random
import sys
from typing import Any, NamedTuple

from bench.migrating import Serving, begin, serving
from bench.result import Figure, Goal, Result, figure, tell
from bench.site import site_in_memory
from xo_warmig.model.units import MIB
from xo_warmig.simulator.delays import REAL
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

RUNS = 20
SEED = 6
BANDWIDTH = 80 * MIB
MOST_ERROR = 0.30
AS_MEASURED = REAL | {"guest_shutdown": 0.4, "shutdown": 0.0, "start": 0.4}


class Seen(NamedTuple):
    """Predicted and measured seconds of one migration."""

    plan_duration: float
    plan_downtime: float
    last_downtime: float
    duration: float
    downtime: float


def vms() -> list[VmConfig]:
    """Drawn from the seed."""
    chance = random.Random(SEED)
    return [_vm(number, chance) for number in range(RUNS)]


def _vm(number: int, chance: random.Random) -> VmConfig:
    disks = chance.randint(1, 3)
    allocated = [chance.randint(16, 96) * MIB for _ in range(disks)]
    guest = GuestConfig(
        kind="blocks", rate=chance.randint(0, 8) * MIB, span=32 * MIB, disks=list(range(disks)), seed=number
    )
    return VmConfig(
        name_label=f"vm-{number}",
        disks=[DiskConfig(size_bytes=2 * each, allocated_bytes=each) for each in allocated],
        guest=guest,
    )


def pools_of() -> SiteConfig:
    limits: dict[str, Any] = {"https": True, "delays": AS_MEASURED, "bandwidth": BANDWIDTH, "sr_size_bytes": 1 << 40}
    source = PoolConfig(name="source", vms=vms(), nbd_purpose="nbd", host_memory_bytes=1 << 38, **limits)
    target = PoolConfig(name="target", cpu_vendor="AuthenticAMD", seed=2, host_memory_bytes=1 << 38, **limits)
    return SiteConfig(pools=[source, target])


async def migrated(all_of_it: Serving, number: int) -> Seen:
    """Plan one, migrate it, and compare."""
    source, target = all_of_it.site.pools
    asked = {
        "vm": source.vms[number].uuid,
        "sr": target.srs[0].uuid,
        "startDestinationVm": True,
        "deleteSourceVm": False,
    }
    estimate = (await all_of_it.client.call("warmMigration.plan", **asked))["estimate"]
    migration = await begin(all_of_it.client, all_of_it.site, number, startDestinationVm=True)
    report = await all_of_it.ended(migration)
    return Seen(
        plan_duration=estimate["durationSeconds"]["value"],
        plan_downtime=estimate["downtimeSeconds"]["value"],
        last_downtime=await _last_prediction(all_of_it, migration),
        duration=report["finished"] - report["created"],
        downtime=report["downtime"]["seconds"],
    )


async def _last_prediction(all_of_it: Serving, migration: str) -> float:
    """Of the decision to cut over."""
    told = await all_of_it.client.call("warmMigration.events", id=migration)
    decisions = [each["event"] for each in told if each["event"]["type"] == "decided"]
    return float(decisions[-1]["predictedDowntimeSeconds"])


async def measure() -> Result:
    """All, one after the other."""
    written = 2 * sum(disk.size_bytes for vm in vms() for disk in vm.disks)
    with site_in_memory(pools_of(), written_bytes=written) as site:
        async with serving(site) as all_of_it:
            seen = [await migrated(all_of_it, number) for number in range(RUNS)]
    figures = {
        "duration": figure([each.duration for each in seen], "s"),
        "downtime": figure([each.downtime for each in seen], "s"),
        "error of the plan's duration": _errors([(each.plan_duration, each.duration) for each in seen]),
        "error of the plan's downtime": _errors([(each.plan_downtime, each.downtime) for each in seen]),
        "error of the last prediction": _errors([(each.last_downtime, each.downtime) for each in seen]),
    }
    goals = [Goal(figure=name, at_most=MOST_ERROR) for name in figures if name.startswith("error")]
    return Result(name="prediction", figures=figures, goals=goals)


def _errors(pairs: list[tuple[float, float]]) -> Figure:
    """Of what was measured, as a share of it."""
    return figure([abs(predicted - measured) / measured for predicted, measured in pairs], "of it")


def main() -> int:
    """Run it and tell."""
    return tell(asyncio.run(measure()), as_json="--json" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
