"""A fault at every kind of call of a migration, on the wire: whatever breaks, nothing is lost, little is left, and a retry works.

The points are taken from the trace of a good migration, by a fixed seed: some of the calls that change something, some that read.
``XO_WARMIG_SWEEP=names`` takes one of every name of a call, ``XO_WARMIG_SWEEP=all`` every call with every kind of fault.
"""

import asyncio
import functools
import os
import random
import xmlrpc.client
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest

from tests.pools import tiny_vm
from tests.scenarios.waiting import ended, until_connected, until_phase
from xo_warmig.client import CallFailed
from xo_warmig.engine.settings import Settings
from xo_warmig.model.units import GIB, MIB

World = Any
Worlds = Callable[..., Any]

SEED = 7
SWEEP = os.environ.get("XO_WARMIG_SWEEP", "")
# Of the calls that change something and of those that read, without a sweep.
CHANGING, READING = 7, 3
SHORT = functools.partial(
    Settings,
    retry_seconds=0.05,
    pool_poll_seconds=0.1,
    cleanup_seconds=1.0,
    boot_poll_seconds=0.05,
    late_halt_poll_seconds=0.2,
    operations_poll_seconds=0.1,
)
# A refusal that may pass, one that does not, and a call that is never answered.
STRIKES: list[dict[str, Any]] = [
    {"kind": "fail"},
    {"kind": "fail", "error": ["OPERATION_NOT_ALLOWED", "a simulated refusal"]},
    {"kind": "cut"},
]
# The server's own look at its pools, which does not belong to a migration.
NOT_OF_A_MIGRATION = ("session.", "event.", "pool.", "host.get_all_records", "Certificate.")
# A migration may make fewer calls of a name than the good one did, and then never comes to the one that was to be struck.
MOST_MISSED = 0.25
# Kept for the retry are the target's shell, its disks, and one base for each.
MOST_BASES = DISKS = 2


STILL_BLOCKED = (
    "TARGET_STILL_BLOCKED"  # a pool that refuses to take our blocks off a copy that is whole: told, as nothing is lost
)


class Point(NamedTuple):
    """One call of the good migration: where, which, and the how-manieth of its name; and what happens there."""

    side: str
    name: str
    nth: int
    strike: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.side} {self.name} {self.nth} {self.strike}"


def pool_of(world: World, side: str) -> Any:
    return world.source if side == "source" else world.target


async def calls_of(world: World, side: str, since: int) -> list[str]:
    """Names of calls and transfers in the trace, in order, as faults match them."""
    trace = await world.control(pool_of(world, side), f"trace?since={since}")
    entries = [(each["started"], each["method"].removeprefix("Async.")) for each in trace["calls"]]
    entries += [(each["started"], each["name"]) for each in trace["transfers"]]
    return [name for _, name in sorted(entries) if not name.startswith(NOT_OF_A_MIGRATION)]


async def points_of_a_good_migration(world: World, vm: str, **parameters: Any) -> list[Point]:
    """Every call that it makes, each with one of the strikes in turn."""
    since = {side: (await world.control(pool_of(world, side), "trace"))["number"] for side in ("source", "target")}
    await world.control(world.source, "guest", vm=vm, rate=MIB)
    await world.migrate(vm=vm, **parameters)
    await ended(world, vm)
    points = []
    for side in ("source", "target"):
        counts: dict[str, int] = defaultdict(int)
        for name in await calls_of(world, side, since[side]):
            counts[name] += 1
            for strike in STRIKES:
                points.append(Point(side, name, counts[name], strike))
    return points


def chosen(points: Iterable[Point], salt: str) -> list[Point]:
    """One of each name and side, at a place and with a strike that the seed chooses; without a sweep, of some names only."""
    chance = random.Random(f"{SEED} {salt}")
    strata: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in points:
        strata[point.side, point.name].append(point)
    each = [chance.choice(strata[key]) for key in sorted(strata)]
    if SWEEP:
        return each
    reading = [point for point in each if ".get_" in point.name]
    changing = [point for point in each if ".get_" not in point.name]
    return chance.sample(changing, CHANGING) + chance.sample(reading, READING)


class Eyes:
    """XAPI sessions of the test's own. What they ask no migration asks, so no fault strikes them."""

    def __init__(self, world: World) -> None:
        self._pools = {side: pool_of(world, side) for side in ("source", "target")}
        self._sessions = {side: self._log_in(pool) for side, pool in self._pools.items()}

    @staticmethod
    def _log_in(pool: Any) -> str:
        with xmlrpc.client.ServerProxy(pool.url) as proxy:
            answer: Any = proxy.session.login_with_password(pool.username, pool.password, "1.0", "eyes")
        return str(answer["Value"])

    def running(self, name: str) -> list[str]:
        """The VMs of this name that are not halted, on both sides; the target is looked at first, which cannot show a false pair."""
        found = []
        for side in ("target", "source"):
            with xmlrpc.client.ServerProxy(self._pools[side].url) as proxy:
                vms: Any = proxy.VM.get_by_name_label(self._sessions[side], name)
                domains: list[Any] = [proxy.VM.get_domid(self._sessions[side], vm) for vm in vms["Value"]]
            found += [f"{side} domain {domain['Value']}" for domain in domains if domain.get("Value", "-1") != "-1"]
        return found


async def never_two(eyes: Eyes, name: str) -> None:
    """Watch both sides for as long as this task lives: at no moment do both run."""
    while True:
        running = await asyncio.to_thread(eyes.running, name)
        assert len(running) <= 1, f"two of {name} run"
        await asyncio.sleep(0.02)


async def quiet_state(world: World, pool: Any, **query: str) -> dict[str, Any]:
    """A pool's state when its storage has nothing left to tidy up."""
    await world.control(pool, "collect", now=True)
    state: dict[str, Any] = await world.state(pool, **query)
    return state


async def vm_of(world: World, pool: Any, uuid: str) -> dict[str, Any]:
    (found,) = [vm for vm in (await quiet_state(world, pool))["vms"] if vm["uuid"] == uuid]
    return dict(found)


async def hashes(world: World, pool: Any, vm: str) -> list[str]:
    state = await quiet_state(world, pool, hash="1")
    (found,) = [each for each in state["vms"] if each["uuid"] == vm]
    disks = sorted((v for v in found["vbds"] if v["type"] == "Disk"), key=lambda vbd: int(vbd["userdevice"]))
    by_uuid = {vdi["uuid"]: vdi["hash"] for vdi in state["vdis"]}
    return [by_uuid[disk["vdi"]] for disk in disks]


async def pending_tasks(world: World, side: str) -> set[str]:
    tasks = (await world.settled(pool_of(world, side)))["tasks"]
    return {f"{task['name_label']} {task['ref']}" for task in tasks if task["status"] == "pending"}


async def see_given_back(world: World, vm: str, name: str) -> None:
    """After a failure: the source runs unblocked, the copy does not, and nothing is left but what a retry needs."""
    source = await vm_of(world, world.source, vm)
    assert (source["power_state"], source["blocked_operations"]) == ("Running", {})
    for side in ("source", "target"):
        state = await quiet_state(world, pool_of(world, side))
        assert state["dom0_vbds"] == []
    snapshots = [v for v in (await quiet_state(world, world.source))["vdis"] if v["is_a_snapshot"] and v["managed"]]
    assert len([v for v in snapshots if v["name_label"].startswith(name)]) <= MOST_BASES, snapshots
    state = await quiet_state(world, world.target)
    assert len([v for v in state["vdis"] if v["managed"] and v["name_label"].startswith(name)]) <= DISKS
    copies = [each for each in state["vms"] if each["name_label"] == name]
    assert len(copies) <= 1
    assert all(copy["power_state"] == "Halted" for copy in copies)


async def see_moved(world: World, vm: str, name: str, target: str, *, started: bool, codes: list[str]) -> None:
    """After a success: one of the two runs at most, the disks are equal where neither does, and nothing is left."""
    source, copy = await vm_of(world, world.source, vm), await vm_of(world, world.target, target)
    assert source["power_state"] == "Halted"
    assert {"start", "start_on", "hard_reboot"} <= set(source["blocked_operations"])
    assert copy["power_state"] == ("Running" if started else "Halted")
    assert copy["blocked_operations"] == {} or STILL_BLOCKED in codes
    if not started:
        assert await hashes(world, world.source, vm) == await hashes(world, world.target, target)
    for side in ("source", "target"):
        state = await quiet_state(world, pool_of(world, side))
        assert state["dom0_vbds"] == []
        snapshots = [v for v in state["vdis"] if v["is_a_snapshot"] and v["name_label"].startswith(name)]
        assert len(snapshots) <= codes.count("LEFT_BEHIND"), "what could not be removed is told"
    copies = [each for each in (await quiet_state(world, world.target))["vms"] if each["name_label"] == name]
    assert len(copies) == 1


async def attempt(world: World, vm: str, **parameters: Any) -> str | CallFailed:
    try:
        async with asyncio.timeout(40):
            return str(await world.migrate(vm=vm, **parameters))
    except CallFailed as failure:
        return failure


class Outcome(NamedTuple):
    """The phase in which the first migration ended, and whether the fault struck it."""

    phase: str
    struck: bool


async def strike(world: World, eyes: Eyes, point: Point, vm: str, name: str, *, started: bool) -> Outcome:
    """One migration with one fault, then a retry where it failed; what came of the first."""
    pool = pool_of(world, point.side)
    await world.control(
        pool, "faults", match=point.name, at=point.nth if "raw_vdi" not in point.name else 512, **point.strike
    )
    await world.control(world.source, "guest", vm=vm, rate=MIB)
    before = {each: await pending_tasks(world, each) for each in ("source", "target")}
    watch = asyncio.create_task(never_two(eyes, name))
    try:
        answer = await attempt(world, vm, startDestinationVm=started)
        report: dict[str, Any] = await ended(world, vm) if await world.reports(vm) else {"phase": "none"}
        (armed,) = (await world.control(pool, "faults"))["faults"]
        await world.control(pool, "faults", clear=True)
        outcome = Outcome(report["phase"], armed["left"] == 0)
        for side, pending in before.items():
            assert await pending_tasks(world, side) - pending == set(), "a task was left behind"
        if isinstance(answer, CallFailed):
            assert answer.message, answer
            assert answer.code, answer
            await see_given_back(world, vm, name)
            await until_connected(world.client)
            second = await attempt(world, vm, startDestinationVm=started)
            assert isinstance(second, str), f"the retry failed: {second}"
            answer = second
            report = await ended(world, vm)
        assert report["phase"] == "done", report["phase"]
        codes = [warning["code"] for warning in report["warnings"]]
        await see_moved(world, vm, name, answer, started=started, codes=codes)
        assert not watch.done(), watch.exception()
        return outcome
    finally:
        await world.control(pool, "faults", clear=True)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@pytest.mark.parametrize("started", [False, True], ids=["left halted", "started"])
async def test_a_call_fails_once(worlds: Worlds, monkeypatch: pytest.MonkeyPatch, started: bool) -> None:
    """Never two that run, the source given back or the target whole, nothing left, and a retry that works."""
    monkeypatch.setattr("xo_warmig.engine.engine.Settings", SHORT)
    count = {"": 1 + CHANGING + READING, "names": 120}.get(SWEEP, 1600)
    # Storage is tidied up when it is looked at, not at a moment of its own.
    roomy = {"host_memory_bytes": 1024 * GIB, "gc_delay_seconds": 3600.0}
    failures: list[str] = []
    missed: list[Point] = []
    async with worlds(vms=[tiny_vm(f"vm-{i:04}.") for i in range(count)], source=roomy, target=roomy) as world:
        unused = [(vm.uuid, vm.name_label) for vm in world.source.vms]
        points = await points_of_a_good_migration(world, unused.pop()[0], startDestinationVm=started)
        struck = points if SWEEP == "all" else chosen(points, str(started))
        assert len(struck) <= len(unused), "every point has a VM of its own"
        eyes = Eyes(world)
        for point, (vm, name) in zip(struck, unused, strict=False):
            begin = asyncio.get_running_loop().time()
            try:
                outcome = await strike(world, eyes, point, vm, name, started=started)
                told = f"{outcome.phase}{'' if outcome.struck else ', missed'}"
                missed += [] if outcome.struck else [point]
            except (AssertionError, TimeoutError, CallFailed) as failure:
                told = "BROKEN"
                report = await world.last_report()
                failures.append(f"{point}: {type(failure).__name__} {failure} {report['phase']} {report['error']}")
            print(f"{asyncio.get_running_loop().time() - begin:.2f} s {told} {point}", flush=True)
    assert not failures, "\n".join(failures)
    assert len(missed) <= MOST_MISSED * len(struck), f"the faults struck nothing: {missed}"


async def asked(world: Any, pool: Any) -> set[str]:
    """The calls that the pool got, whatever came of them."""
    return {call["method"].removeprefix("Async.") for call in (await world.control(pool, "trace"))["calls"]}


async def test_a_target_pool_without_memory_costs_no_downtime(worlds: Worlds) -> None:
    """Its hosts are asked before the start; the source is neither blocked nor stopped, as one that there is memory for is."""
    stops = {"VM.clean_shutdown", "VM.add_to_blocked_operations"}
    vms = [tiny_vm("large", memory_bytes=8 * GIB), tiny_vm("small")]
    async with worlds(vms=vms, target={"host_memory_bytes": 4 * GIB}) as world:
        answer = await attempt(world, world.vm, startDestinationVm=True)
        assert isinstance(answer, CallFailed)
        assert answer.code == "NO_HOST_CAN_START"
        assert not (stops | {"VM.set_blocked_operations"}) & await asked(world, world.source)
        await see_given_back(world, world.vm, "large")
        small = next(vm.uuid for vm in world.source.vms if vm.name_label == "small")
        assert isinstance(await attempt(world, small, startDestinationVm=True), str)
        assert stops <= await asked(world, world.source)


async def test_memory_that_went_meanwhile_costs_no_downtime(worlds: Worlds) -> None:
    """There was enough when the migration was planned; its hosts are asked again before the source is stopped."""
    vms = [tiny_vm("first", memory_bytes=3 * GIB), tiny_vm("second", memory_bytes=3 * GIB)]
    async with worlds(vms=vms, target={"host_memory_bytes": 8 * GIB}) as world:
        second = next(vm.uuid for vm in world.source.vms if vm.name_label == "second")
        held = await world.start(vm=second, cutover="hold")
        await until_phase(world, "holding", held)
        assert isinstance(await attempt(world, world.vm, startDestinationVm=True), str)
        await world.client.call("warmMigration.cutover", id=held)
        report = await ended(world, held)
        assert (report["phase"], report["error"]["code"]) == ("failed", "NO_HOSTS_AVAILABLE")
        assert "HOST_NOT_ENOUGH_FREE_MEMORY" in report["error"]["message"]
        await see_given_back(world, second, "second")
