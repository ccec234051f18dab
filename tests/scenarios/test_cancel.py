"""Cancel in every phase that allows it, on the wire: told soon, over only when the disks are free, and as if nothing had been."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.faults.evidence import Asked, Sides, Story
from tests.faults.looking import Watcher
from tests.faults.rules import assert_rules
from tests.faults.scene import moving_vm
from tests.scenarios.waiting import until_phase
from xo_warmig.client import CallFailed
from xo_warmig.model.phases import Phase, can_cancel
from xo_warmig.model.units import MIB

World = Any
Worlds = Callable[..., Any]

NAME = "vm-000."
# A detach takes its time, so that "cancelled" could be told too early.
SLOW = {"detach": 0.4, "linger": 0.2}
SOON_SECONDS = 2.0


class Fault(NamedTuple):
    """What makes a phase last. ``side``: of which pool. ``in_phase``: armed when this phase is seen, "" before the migration begins."""

    side: str
    order: dict[str, Any]
    in_phase: str = ""


def slow(match: str, **more: Any) -> dict[str, Any]:
    return {"kind": "delay", "match": match, "seconds": 3.0, **more}


class Case(msgspec.Struct, frozen=True):
    """How a phase is reached, and made to last until the cancel comes."""

    phase: str
    faults: tuple[Fault, ...] = ()
    options: dict[str, Any] = {}
    paused: bool = False


CASES = [
    Case("preparing", (Fault("target", slow("VDI.create")),)),
    Case("copying", (Fault("source", slow("export_raw_vdi", at=512)),)),
    # Two disks: the third snapshot is the second pass's.
    Case("syncing", (Fault("source", slow("VDI.snapshot", at=3)),)),
    Case("holding", options={"cutover": "hold"}),
    Case("holding", options={"cutover": "hold"}, paused=True),
    Case("stopping"),  # guests of this pool take two seconds
    Case("finalising", (Fault("source", slow("export_raw_vdi", at=512), in_phase="stopping"),)),
    Case("verifying", (Fault("target", slow("VTPM.set_contents"), in_phase="stopping"),)),
]
# Lasts for as long as it takes to write down one fact.
MOMENTARY = {Phase.PLANNED}


def named(case: Case) -> str:
    return "paused" if case.paused else case.phase


def test_every_phase_that_can_be_cancelled_has_a_case() -> None:
    assert {Phase(case.phase) for case in CASES} == {phase for phase in Phase if can_cancel(phase)} - MOMENTARY


def pool_of(world: World, side: str) -> Any:
    return world.source if side == "source" else world.target


async def reach(world: World, case: Case) -> str:
    """The id of the migration, once it is where the case wants it."""
    for fault in case.faults:
        if fault.in_phase:
            await until_phase(world, fault.in_phase)
            await world.control(pool_of(world, fault.side), "faults", **fault.order)
    id_ = str((await until_phase(world, case.phase))["id"])
    if case.paused:
        await world.client.call("warmMigration.pause", id=id_)
        assert await attached(world) == []
    else:
        await asyncio.sleep(0.2)  # into the middle of it
    return id_


async def attached(world: World) -> list[Any]:
    return [vbd for pool in (world.source, world.target) for vbd in (await world.state(pool))["dom0_vbds"]]


async def seconds_until_told(world: World, migration: str) -> float:
    """Until a report says that it is being cancelled."""
    asked = time.monotonic()
    while (await world.client.call("warmMigration.get", id=migration))["phase"] not in ("cancelling", "cancelled"):
        assert time.monotonic() < asked + 30, "the cancel is not told"
        await asyncio.sleep(0.02)
    return time.monotonic() - asked


def last_use(traces: Sides) -> float:
    """When the last transfer was over, in seconds since the epoch."""
    return max((each["ended"] for trace in traces for each in trace["transfers"]), default=0.0)


@pytest.mark.parametrize("case", CASES, ids=named)
async def test_cancel(worlds: Worlds, case: Case) -> None:
    """``onFailure`` drop: nothing of it is left, and the source is as it was found."""
    source = {"delays": SLOW | {"guest_shutdown": 2.0}, "gc_delay_seconds": 3600.0}
    async with worlds(vms=[moving_vm(NAME)], source=source, target={"delays": SLOW}) as world:
        watchers = Sides(Watcher(world.source), Watcher(world.target))
        before = Sides(*[await asyncio.to_thread(each.look, NAME, (), hashed=True) for each in watchers])
        since = [await asyncio.to_thread(each.mark) for each in watchers]
        await world.control(world.source, "guest", vm=world.vm, rate=MIB)
        for fault in case.faults:
            if not fault.in_phase:
                await world.control(pool_of(world, fault.side), "faults", **fault.order)
        migration = asyncio.ensure_future(world.migrate(onFailure="drop", **case.options))
        id_ = await reach(world, case)

        cancel = asyncio.ensure_future(world.client.call("warmMigration.cancel", id=id_))
        told = await seconds_until_told(world, id_)
        await asyncio.wait_for(cancel, 60)
        held = await attached(world)
        report = await world.client.call("warmMigration.get", id=id_)
        print(f"{named(case)}: told after {told:.2f} s, over after {report['finished'] - report['created']:.1f} s")
        assert told <= SOON_SECONDS
        assert held == [], "cancelled is told when the disks are free"
        with pytest.raises(CallFailed, match="cancelled"):
            await migration

        await world.control(world.source, "guest", vm=world.vm, stop=True)
        for each in watchers:
            await asyncio.to_thread(each.until_told, id_)
        after = Sides(*[await asyncio.to_thread(each.look, NAME, (), hashed=True) for each in watchers])
        traces = Sides(*[await asyncio.to_thread(each.trace, mark) for each, mark in zip(watchers, since, strict=True)])
        assert last_use(traces) <= report["finished"], "no transfer outlives it"
        events = await world.client.call("warmMigration.events", id=id_)
    assert_rules(
        Story(
            vm=world.vm,
            asked=Asked(started=True, on_failure="drop"),
            expected=("cancelled",),
            before=before,
            after=after,
            traces=traces,
            report=report,
            events=events,
        )
    )
