"""What is asked to be read over NBD alone: refused, waited for or failed where that cannot be, and never read from exports."""

from typing import Any

import msgspec
import pytest

from tests.engine.conftest import Scene
from xo_warmig.errors import TransferError, WarmigError
from xo_warmig.model.events import PassStarted
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport
from xo_warmig.model.vm import PowerState


def nbd(scene: Scene) -> Any:
    """Its request asks for NBD, and its pool serves it; the source."""
    scene.request = msgspec.structs.replace(scene.request, transport=Transport.NBD)
    scene.world.source.serves_blocks = True
    return scene.world.source


def ways_of(scene: Scene, migration: str) -> list[set[Way]]:
    started = [each.event for each in scene.engine.events(migration) if isinstance(each.event, PassStarted)]
    return [{disk.way for disk in event.plan.disks} for event in started]


def crashed(scene: Scene) -> None:
    source = scene.world.source
    source.life = msgspec.structs.replace(source.life, host_booted="1.")


async def refused(scene: Scene) -> str:
    with pytest.raises(WarmigError) as failure:
        await scene.migrate()
    return failure.value.code


async def failed(scene: Scene) -> str:
    """The code that it failed of, when the source is as it was found."""
    migration = await scene.start()
    with pytest.raises(WarmigError) as failure:
        await scene.engine.outcome(migration)
    await scene.ended(migration)
    assert scene.world.vm.power is PowerState.RUNNING
    assert not scene.world.vm.blocked
    assert all(Way.VHD not in ways for ways in ways_of(scene, migration))
    return failure.value.code


def test_where_it_is_not_served_it_is_refused_with_the_reason(play: Any) -> None:
    """By the plan and by the start."""

    async def body(scene: Scene) -> None:
        nbd(scene).serves_blocks = False
        plan = await scene.engine.plan(scene.request)
        assert not plan.possible
        assert {each.code for each in plan.findings if each.severity == "error"} == {"NBD_NOT_SERVED"}
        assert await refused(scene) == "NBD_NOT_SERVED"

    play(body)


def test_without_tools_it_is_refused(play: Any) -> None:
    """Its last changes could not be told: that is known before anything is copied."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        scene.world.vm.tools = False
        assert await refused(scene) == "NBD_NEEDS_TOOLS"

    play(body)


def test_where_it_is_served_all_of_it_is_read_so(play: Any) -> None:
    """The plan says why."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        plan = await scene.engine.plan(scene.request)
        assert {disk.way_reason for disk in plan.disks} == {"transport nbd was asked for"}
        migration = await scene.start()
        await scene.ended_well(migration)
        first, *deltas = ways_of(scene, migration)
        assert first == {Way.NBD}
        assert all(ways == {Way.CBT} for ways in deltas)
        scene.world.assert_quiet()
        scene.world.assert_equal()

    play(body)


def test_what_does_not_open_is_waited_for_and_fails_in_the_end(play: Any) -> None:
    """Nothing is read from an export but the tables."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        dropped = TransferError("it closed the connection without a word", code="NBD_DROPPED")
        scene.world.always["source.open_blocks"] = dropped
        assert await failed(scene) == "NBD_DROPPED"
        assert scene.world.trace.count("source.open_blocks") > 4

    play(body)


def test_a_final_pass_that_does_not_open_gives_the_source_back(play: Any) -> None:
    """After as many tries as any final pass has."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        dropped = TransferError("it closed the connection without a word", code="NBD_DROPPED")

        def drop() -> None:
            scene.world.always["source.open_blocks"] = dropped

        scene.world.fail("source.shut_down", after=True, hook=drop)
        assert await failed(scene) == "NBD_DROPPED"

    play(body)


def test_a_log_that_is_not_believed_makes_the_pass_a_full_one_while_the_source_runs(play: Any) -> None:
    """And that is told (R12)."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        scene.world.fail("source.snapshot_disk", 2, after=True, hook=lambda: crashed(scene))
        migration = await scene.start()
        await scene.ended_well(migration)
        first, second, *rest = ways_of(scene, migration)
        assert first == second == {Way.NBD}
        assert all(ways == {Way.CBT} for ways in rest)
        assert "COPIED_ANEW" in scene.codes(migration)
        scene.world.assert_equal()

    play(body)


def test_in_the_downtime_no_disk_is_read_whole(play: Any) -> None:
    """The host went down in the cutover: the source runs again."""

    async def body(scene: Scene) -> None:
        nbd(scene)
        scene.world.fail("source.shut_down", after=True, hook=lambda: crashed(scene))
        assert await failed(scene) == "NO_DELTA"

    play(body)


def test_what_cannot_be_tracked_fails_before_anything_is_copied(play: Any) -> None:
    """By its licence, say."""

    async def body(scene: Scene) -> None:
        nbd(scene).refuses_tracking = True
        assert await failed(scene) == "TRACKING_NEEDED"
        assert "source.open_blocks" not in scene.world.trace

    play(body)
