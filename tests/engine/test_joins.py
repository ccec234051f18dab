"""The same call again, another call meanwhile, and calls that are refused before anything is touched."""

import asyncio
from typing import Any

import pytest

from xo_warmig.errors import ForbiddenOperation, IncorrectState, InvalidRequest, NoSuchObject, PoolUnreachable
from xo_warmig.model.vm import PowerState

# What a refused request may have done: looked.
LOOKS = {
    "against_nbd",
    "against_blocks",
    "read_vm",
    "read_sr",
    "networks",
    "power_state",
    "blocked_operations",
    "attachments",
}


def test_the_same_call_joins_the_running_migration(play: Any) -> None:
    """Both get the same answer."""

    async def body(scene: Any) -> None:
        first = await scene.engine.start(scene.request, user="admin")
        await asyncio.sleep(0.3)
        second = await scene.engine.start(scene.request, user="other")
        assert (first.joined, second.joined) == (False, True)
        assert first.id == second.id
        one, other = await asyncio.gather(scene.engine.outcome(first.id), scene.engine.outcome(second.id))
        assert one == other

    play(body)


def test_two_calls_at_the_same_moment_make_one_migration(play: Any) -> None:
    """The second waits until the first is known."""

    async def body(scene: Any) -> None:
        both = await asyncio.gather(*(scene.engine.start(scene.request, user="admin") for _ in range(2)))
        assert len({each.id for each in both}) == 1
        assert len(scene.engine.reports()) == 1

    play(body)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"sr": "sr-other"}, "sr"),
        ({"start_destination_vm": False}, "startDestinationVm"),
        ({"delete_source_vm": True}, "deleteSourceVm"),
        ({"map_vifs_networks": {"vif-1": "net-target"}}, "mapVifsNetworks"),
        ({"mac_addresses": "new"}, "macAddresses"),
    ],
)
def test_other_flags_meanwhile_are_refused(play: Any, change: dict[str, Any], name: str) -> None:
    """IncorrectState tells what differs."""

    async def body(scene: Any) -> None:
        await scene.start()
        with pytest.raises(IncorrectState) as refused:
            await scene.start(**change)
        assert refused.value.evidence["property"] == name
        assert refused.value.evidence["object"] == "vm-1"

    play(body)


def test_a_repeat_after_success_answers_the_recorded_target(play: Any) -> None:
    """As long as the source is as it was left; nothing is done again."""

    async def body(scene: Any) -> None:
        first = await scene.start()
        await scene.ended_well(first)
        await asyncio.sleep(20)  # nothing shows it any more
        changes = len([call for call in scene.world.trace if call.partition(".")[2] not in LOOKS])
        again = await scene.engine.start(scene.request, user="admin")
        assert again.id == first
        assert again.joined
        assert await scene.engine.outcome(again.id) == scene.world.the_target().uuid
        assert len([call for call in scene.world.trace if call.partition(".")[2] not in LOOKS]) == changes

    play(body)


def test_a_repeat_after_the_source_was_deleted_answers_too(play: Any) -> None:
    """Gone is how it was left."""

    async def body(scene: Any) -> None:
        first = await scene.start(delete_source_vm=True)
        await scene.ended_well(first)
        assert await scene.start(delete_source_vm=True) == first

    play(body)


def test_a_source_that_was_taken_back_migrates_anew(play: Any) -> None:
    """Its blocks are off and it runs, the old target is off."""

    async def body(scene: Any) -> None:
        world = scene.world
        first = await scene.start()
        await scene.ended_well(first)
        world.the_target().power = PowerState.HALTED
        world.vm.blocked.clear()
        world.vm.power = PowerState.RUNNING
        second = await scene.start()
        assert second != first
        await scene.ended_well(second)

    play(body)


def test_a_moved_source_is_not_moved_elsewhere(play: Any) -> None:
    """What is left of it is old."""

    async def body(scene: Any) -> None:
        await scene.ended_well(await scene.start())
        with pytest.raises(IncorrectState) as refused:
            await scene.start(start_destination_vm=False)
        assert refused.value.code == "ALREADY_MIGRATED"

    play(body)


@pytest.mark.parametrize("operation", ["migrate_send", "pool_migrate"])
def test_xapis_own_migration_in_progress_forbids_ours(play: Any, operation: str) -> None:
    """With the operation in the evidence."""

    async def body(scene: Any) -> None:
        scene.world.vm.operations = [operation]
        with pytest.raises(ForbiddenOperation) as refused:
            await scene.start()
        assert refused.value.evidence["operation"] == operation

    play(body)


def test_an_unknown_vm_is_told_before_an_unknown_sr(play: Any) -> None:
    """VM first."""

    async def body(scene: Any) -> None:
        with pytest.raises(NoSuchObject) as refused:
            await scene.start(vm="nobody", sr="nowhere")
        assert refused.value.evidence == {"id": "nobody", "type": "VM"}

    play(body)


@pytest.mark.parametrize(
    "change",
    [
        {"vm": "nobody"},
        {"sr": "nowhere"},
        {"sr": "sr-source"},
        {"map_vdis_srs": {"disk-0": "nowhere"}},
        {"map_vdis_srs": {"nothing": "sr-target"}},
        {"map_vifs_networks": {"vif-1": "nowhere"}},
        {"start_destination_vm": False, "delete_source_vm": True},
    ],
    ids=str,
)
def test_a_refused_request_touches_nothing(play: Any, change: dict[str, Any]) -> None:
    """The trace of both pools shows looks only, and no migration is listed."""

    async def body(scene: Any) -> None:
        with pytest.raises(InvalidRequest):
            await scene.start(**change)
        assert {call.partition(".")[2] for call in scene.world.trace} <= LOOKS
        assert scene.engine.reports() == []

    play(body)


@pytest.mark.parametrize("pool", ["source", "target"])
def test_a_pool_that_is_down_is_named(play: Any, pool: str) -> None:
    """And no migration is made."""

    async def body(scene: Any) -> None:
        scene.world.down.add(pool)
        with pytest.raises(PoolUnreachable) as refused:
            await scene.start()
        assert refused.value.evidence["pool"] == pool
        assert scene.engine.reports() == []

    play(body)


def test_an_unknown_migration_is_told(play: Any) -> None:
    """Wherever one is named."""

    async def body(scene: Any) -> None:
        engine = scene.engine
        for ask in (engine.report, engine.events):
            with pytest.raises(NoSuchObject):
                ask("nothing")
        for wait in (engine.outcome, engine.cancel):
            with pytest.raises(NoSuchObject):
                await wait("nothing")

    play(body)
