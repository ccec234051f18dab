"""Beyond the target's start, on the wire: rolled back only with a person's word, and nothing guessed while its pool is cut off."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.rules_of_power import SOURCE_BLOCKS
from tests.scenarios.test_broken_passes import see_equal, vm_with
from tests.scenarios.waiting import until, until_phase
from xo_warmig.client import CallFailed
from xo_warmig.engine.settings import Settings
from xo_warmig.model.units import MIB

World = Any
Worlds = Callable[..., Any]

DOWN_SECONDS = 4.0
STARTS = {"VM.start", "VM.start_on", "VM.resume", "VM.hard_reboot"}


async def test_what_the_target_wrote_is_discarded_only_when_told(worlds: Worlds) -> None:
    """Refused without the word; with it the target is off and blocked, the source runs, and the next try is right byte for byte."""
    async with worlds(vms=[vm_with(32 * MIB)]) as world:
        target = await world.migrate(commit="manual")
        report = await until_phase(world, "awaiting_commit")
        written = await world.control(world.target, "guest", vm=target, write=8 * MIB)
        assert written["written"] == 8 * MIB
        with pytest.raises(CallFailed) as caught:
            await world.client.call("warmMigration.rollback", id=report["id"])
        assert caught.value.code == "TARGET_HAS_CHANGES"
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        assert (await world.vm_of(world.source, world.vm))["power_state"] == "Halted"

        await world.client.call("warmMigration.rollback", id=report["id"], discardTargetChanges=True)
        report = await until(world, lambda report: report["finished"] is not None)
        assert (report["phase"], report["error"]["code"]) == ("failed", "ROLLED_BACK")
        copy, source = await world.vm_of(world.target, target), await world.vm_of(world.source, world.vm)
        assert copy["power_state"] == "Halted"
        assert {"start", "start_on", "resume", "resume_on", "hard_reboot"} <= set(copy["blocked_operations"])
        assert (source["power_state"], source["blocked_operations"]) == ("Running", {})

        await world.control(world.source, "guest", vm=world.vm, write=4 * MIB)
        again = await world.migrate()
        await see_equal(world, again)


@pytest.mark.parametrize("moment", ["the call was taken", "it runs"])
async def test_the_destination_is_cut_off_just_after_it_took_the_start(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """R5: the source stays off while nobody can say whether the target runs; when the pool is back it resolves."""
    monkeypatch.setattr("xo_warmig.engine.engine.Settings", lambda: Settings(pool_poll_seconds=0.2, retry_seconds=0.1))
    async with worlds(vms=[vm_with(16 * MIB)], target={"delays": {"start": 1.0}}) as world:
        migration = asyncio.ensure_future(world.migrate())
        async with asyncio.timeout(60):
            while not await _came(world, moment):
                await asyncio.sleep(0.01)
        await asyncio.to_thread(world.target.kill)
        await _see_nothing_started(world)
        await asyncio.to_thread(world.target.restart)
        target = await migration
        report = await until(world, lambda report: report["finished"] is not None)
        assert report["phase"] == "done", report["error"]
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        source = await world.vm_of(world.source, world.vm)
        assert source["power_state"] == "Halted"
        assert set(source["blocked_operations"]) >= SOURCE_BLOCKS
        assert not STARTS & await _asked_of_the_source(world)
        await see_equal(world, target)


async def _came(world: World, moment: str) -> bool:
    """Whether the target's pool is as far as that."""
    if moment == "the call was taken":
        state = await world.state(world.target)
        return any(task["name_label"] == "Async.VM.start" for task in state["tasks"])
    return any(vm["power_state"] == "Running" for vm in (await world.state(world.target))["vms"])


async def _see_nothing_started(world: World) -> None:
    """While the pool is away the migration waits for it, and the source is off and blocked."""
    deadline = asyncio.get_running_loop().time() + DOWN_SECONDS
    waited = False
    while asyncio.get_running_loop().time() < deadline:
        source = await world.vm_of(world.source, world.vm)
        assert source["power_state"] == "Halted"
        assert set(source["blocked_operations"]) >= SOURCE_BLOCKS
        report = await world.last_report()
        assert report["finished"] is None
        waited = waited or report["waitingFor"] == "pool"
        await asyncio.sleep(0.1)
    assert waited, "it is told what is waited for"


async def _asked_of_the_source(world: World) -> set[str]:
    trace = await world.control(world.source, "trace")
    return {call["method"].removeprefix("Async.") for call in trace["calls"] if call["args"]}
