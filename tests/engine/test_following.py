"""Interfaces and drives of the source that change while it is copied."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.conftest import REQUEST, Play
from tests.engine.lives import Lives
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.errors import PoolUnreachable, SafetyError
from xo_warmig.model.events import Event, SourceChanged
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import CdDrive, Network, PowerState, Vif

LAN = Network(uuid="net-1", name_label="lan", vlan=-1)
FIRST = Vif(uuid="vif-1", device="0", mac="00:16:3e:00:00:01", mtu=1500, network="net-1")
SECOND = msgspec.structs.replace(FIRST, uuid="vif-2", device="1", mac="00:16:3e:00:00:02")
NOWHERE = {"vifs": [FIRST, msgspec.structs.replace(SECOND, network="net-9")]}


def when(scene: Any, call: str, **changes: Any) -> None:
    """The source becomes so as soon as that is called."""
    scene.world.hooks[call] = lambda: scene.world.vm.extra.update(changes)


def facts(scene: Any, migration: str) -> list[SourceChanged]:
    events = [recorded.event for recorded in scene.engine.events(migration)]
    return [event for event in events if isinstance(event, SourceChanged)]


def test_what_changed_before_the_shutdown_is_on_the_target(play: Play) -> None:
    """Told once, done before the source is shut down, and HA is as it is at the end."""

    async def body(scene: Any) -> None:
        changes = {"vifs": [FIRST, SECOND], "cd_drives": [CdDrive(device="3")], "ha_restart_priority": "best-effort"}
        when(scene, "source.snapshot_disk", **changes)
        migration = await scene.start()
        await scene.ended_well(migration)
        target, trace = scene.world.the_target(), scene.world.trace
        assert (target.vifs, target.cd, target.ha) == ({"0": "net-target", "1": "net-target"}, ["3"], "best-effort")
        assert trace.index("target.create_cd_drive") < trace.index("source.shut_down")
        assert scene.codes(migration) == ["SOURCE_CHANGED"]
        (fact,) = facts(scene, migration)
        assert msgspec.json.decode(msgspec.json.encode(fact), type=Event) == fact  # as the next server reads it

    play(body)


def test_what_changed_in_the_last_moment_is_on_the_target_too(play: Play) -> None:
    """Seen in the downtime, by the record that is read there."""

    async def body(scene: Any) -> None:
        when(scene, "source.shut_down", vifs=[SECOND])
        migration = await scene.start()
        await scene.ended_well(migration)
        assert scene.world.the_target().vifs == {"1": "net-target"}
        assert scene.codes(migration) == ["SOURCE_CHANGED"]

    play(body)


@pytest.mark.parametrize("after", [False, True])
def test_a_call_that_is_lost_is_made_again(play: Play, after: bool) -> None:
    """With its effect or without: the interface is there once, and told once."""

    async def body(scene: Any) -> None:
        when(scene, "source.snapshot_disk", vifs=[FIRST, SECOND])
        scene.world.fail("target.create_vif", 2, after=after, error=PoolUnreachable("gone"))
        migration = await scene.start()
        await scene.ended_well(migration)
        assert scene.world.trace.count("target.create_vif") == 3
        assert scene.world.the_target().vifs == {"0": "net-target", "1": "net-target"}
        assert len(facts(scene, migration)) == 1

    play(body)


def test_nothing_is_asked_where_nothing_changed(play: Play) -> None:
    """Neither before the downtime nor in it."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        assert facts(scene, migration) == []
        assert scene.world.trace.count("target.networks") == 1  # of the plan

    play(body)


@pytest.mark.parametrize(("call", "was_shut_down"), [("source.snapshot_disk", False), ("source.shut_down", True)])
def test_an_interface_whose_network_is_not_clear(play: Play, call: str, was_shut_down: bool) -> None:
    """Refused, before the shutdown where it was known then, with what to do; the source runs, and the target never did (R12)."""

    async def body(scene: Any) -> None:
        when(scene, call, **NOWHERE)
        migration = await scene.start()
        with pytest.raises(SafetyError) as refused:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert (refused.value.code, refused.value.evidence["rule"]) == ("INTERFACES_CHANGED", "R12")
        assert "mapVifsNetworks" in refused.value.remedy
        assert ("source.shut_down" in scene.world.trace) is was_shut_down
        assert scene.codes(migration).count("INTERFACES_UNCLEAR") == (not was_shut_down)  # told as soon as it was seen
        assert "target.start_vm" not in scene.world.trace
        assert scene.world.vm.power is PowerState.RUNNING

    play(body)


def test_a_halted_source_is_looked_at_again_after_its_one_pass(play: Play) -> None:
    """It may have taken hours."""

    async def body(scene: Any) -> None:
        scene.world.vm.power = PowerState.HALTED
        when(scene, "target.finish_import", vifs=[FIRST, SECOND], name_label="web, renamed")
        migration = await scene.start(start_destination_vm=False)
        await scene.ended_well(migration)
        assert scene.world.target.applied[-1].name_label == "web, renamed"
        assert scene.world.the_target().vifs == {"0": "net-target", "1": "net-target"}

    play(body)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("death", [("target.remove_vif", 1), ("target.create_vif", 2), ("target.create_cd_drive", 1)])
@pytest.mark.parametrize("when_it_changes", ["source.snapshot_disk", "source.shut_down"])
def test_a_process_that_dies_meanwhile(death: tuple[str, int], after: bool, when_it_changes: str) -> None:
    """Before the downtime or in it: the next one brings the target to where the source is, and starts it."""

    async def body() -> None:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        locked = msgspec.structs.replace(FIRST, locking_mode="locked")
        changes = {"vifs": [locked], "cd_drives": [CdDrive(device="3")]}
        world.hooks[when_it_changes] = lambda: world.vm.extra.update(changes)
        world.fail(death[0], death[1], after=after, hook=lives.die, kills=True)
        started = await lives.engine.start(REQUEST, user="admin")
        life = lives.number
        async with asyncio.timeout(4000):
            while lives.number == life:
                await asyncio.sleep(0.1)
        await asyncio.sleep(5)
        engine = await lives.next()
        async with asyncio.timeout(4000):
            while engine.report(started.id).finished is None:
                await asyncio.sleep(0.5)
        assert engine.report(started.id).phase is Phase.DONE
        target = world.the_target()
        assert (target.vifs, target.cd, target.power) == ({"0": "net-target"}, ["3"], PowerState.RUNNING)
        assert [each.code for each in engine.report(started.id).warnings].count("SOURCE_CHANGED") == 1

    run_virtual(body())
