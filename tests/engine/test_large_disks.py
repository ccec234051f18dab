"""Disks of which no differences are exported: where the log of changes is not believed they are copied anew, and never in the downtime.

Those that no VHD can hold, and those that their pool keeps in another format.
"""

from typing import Any

import pytest

from tests.engine.conftest import Scene
from tests.engine.test_tracking import crashed, see_moved, tracked, ways_of
from tests.engine.test_tracking import serving as serves_blocks
from xo_warmig.errors import PoolError, SafetyError, WarmigError
from xo_warmig.model.images import QCOW2
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.model.vm import PowerState


@pytest.fixture(autouse=True, params=["too large", "qcow2"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why: what follows from it does not depend on how large a disk really is."""
    if request.param == "too large":
        monkeypatch.setattr("xo_warmig.replication.exports.MOST_SIZE_BYTES", 0)
    return str(request.param)


def serving(scene: Scene) -> Any:
    """A source that serves blocks, and keeps its disks as qcow2."""
    source = serves_blocks(scene)
    source.keeps_as = QCOW2
    return source


def test_a_migration_reads_no_vhd(play: Any) -> None:
    """The first pass by a qcow2 export, the others by the log; tracking is put back."""

    async def body(scene: Scene) -> None:
        serving(scene)
        migration = await scene.start()
        await scene.ended_well(migration)
        first, *deltas = ways_of(scene, migration)
        assert first == [Way.NBD] * 2
        assert all(ways == [Way.CBT] * 2 for ways in deltas)
        assert scene.world.trace.count("source.open_qcow2") == 2, "for the tables of each disk"
        assert "source.open_export" not in scene.world.trace
        assert tracked(scene) == [False, False]
        see_moved(scene)

    play(body)


def test_without_a_list_all_of_the_disk_is_read_and_that_is_told(play: Any) -> None:
    """R12."""

    async def body(scene: Scene) -> None:
        serving(scene).keeps_as = "vmdk"  # one that no export tells the tables of
        migration = await scene.start()
        await scene.ended_well(migration)
        assert "WHOLE_DISK_READ" in scene.codes(migration)
        assert scene.world.trace.count("source.open_export") == 0
        see_moved(scene)

    play(body)


def test_what_cannot_be_tracked_is_refused_before_anything_is_copied(play: Any) -> None:
    """Its last changes could be found by reading it whole only, with the VM down."""

    async def body(scene: Scene) -> None:
        serving(scene).refuses_tracking = True
        migration = await scene.start()
        with pytest.raises(PoolError) as error:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert error.value.code == "TRACKING_NEEDED"
        assert "target.open_import" not in scene.world.trace
        assert scene.world.vm.power is PowerState.RUNNING
        scene.world.assert_quiet()

    play(body)


def test_r21_a_log_over_a_crash_is_not_believed_and_the_disk_is_copied_anew(play: Any) -> None:
    """Zeros included, onto the disk that is there; told, and the passes after that are deltas again."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.fail("source.snapshot_disk", 2, after=True, hook=lambda: crashed(scene))
        migration = await scene.start()
        await scene.ended_well(migration)
        ways = ways_of(scene, migration)
        assert ways[:2] == [[Way.NBD] * 2] * 2
        assert all(each == [Way.CBT] * 2 for each in ways[2:])
        assert "COPIED_ANEW" in scene.codes(migration)
        see_moved(scene)

    play(body)


def test_a_log_that_is_lost_before_the_cutover_costs_a_pass_and_no_downtime(play: Any) -> None:
    """Seen while the source runs."""

    async def body(scene: Scene) -> None:
        source = serving(scene)

        def forget() -> None:
            scene.world.hooks.clear()
            for vdi in source.vdis.values():
                vdi.tracked = False

        scene.world.hooks["target.assert_startable"] = forget
        migration = await scene.start()
        await scene.ended_well(migration)
        trace = scene.world.trace
        assert trace.index("target.assert_startable") < trace.index("source.shut_down")
        assert ways_of(scene, migration).count([Way.NBD] * 2) == 2
        assert ways_of(scene, migration)[-1] == [Way.CBT] * 2
        assert "COPIED_ANEW" in scene.codes(migration)
        see_moved(scene)

    play(body)


@pytest.mark.parametrize("code", ["SR_BACKEND_FAILURE_459", "SR_BACKEND_FAILURE_460"])
def test_a_log_that_does_not_lead_on_is_found_by_asking_it(play: Any, code: str) -> None:
    """It was turned off and on since the base, which no record tells: the next pass is a whole one."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.fail("source.changed_blocks", error=scene.world.refusal(code))
        migration = await scene.start()
        await scene.ended_well(migration)
        ways = ways_of(scene, migration)
        assert ways[:3] == [[Way.NBD] * 2, [Way.CBT] * 2, [Way.NBD, Way.CBT]]
        assert ways[-1] == [Way.CBT] * 2
        assert "COPIED_ANEW" in scene.codes(migration)
        see_moved(scene)

    play(body)


def test_r21_power_is_not_cut_where_the_source_would_be_started_again(play: Any) -> None:
    """However it was asked for: after that no log is believed, so nothing could be cut over."""

    async def body(scene: Scene) -> None:
        source, plain, asked = serving(scene), scene.world.source.shut_down, list[ShutdownPolicy]()

        async def shut_down(vm: str, policy: ShutdownPolicy) -> bool:
            asked.append(policy)
            if policy.force is not ForceShutdown.ALWAYS:
                raise PoolError(
                    "the guest did not shut down", code="SHUTDOWN_TIMEOUT", remedy="allow it to be powered off"
                )
            await plain(vm, policy)
            return False

        source.shut_down = shut_down
        migration = await scene.start(shutdown=ShutdownPolicy(timeout=60, force=ForceShutdown.ALWAYS))
        with pytest.raises(PoolError) as error:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert asked == [ShutdownPolicy(timeout=60, force=ForceShutdown.NEVER)]
        assert error.value.code == "SHUTDOWN_TIMEOUT"
        assert "from inside" in error.value.remedy
        assert scene.world.vm.power is PowerState.RUNNING
        assert not scene.world.vm.blocked
        scene.world.assert_quiet()

    play(body)


@pytest.mark.parametrize("after", [False, True], ids=["before the halt", "after it"])
def test_r21_a_host_that_goes_down_in_the_cutover_ends_in_a_running_source(play: Any, after: bool) -> None:
    """Neither a delta that may lack something nor a whole read while the VM is down."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.fail("source.shut_down", after=after, hook=lambda: crashed(scene))
        migration = await scene.start()
        with pytest.raises(SafetyError) as error:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert error.value.code == "NO_DELTA"
        assert scene.world.vm.power is PowerState.RUNNING
        trace = scene.world.trace
        assert "source.open_blocks" not in trace[trace.index("source.shut_down") :]
        scene.world.assert_quiet()

    play(body)


def test_a_halted_vm_is_copied_whole_again_by_a_retry(play: Any) -> None:
    """No log is believed up to a disk that we did not see shut down, and it costs nobody anything."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.vm.power = PowerState.HALTED
        scene.world.always["target.apply_volatile_state"] = scene.world.refusal("SR_BACKEND_FAILURE_44")
        first = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(first)
        await scene.ended(first)
        scene.world.always.clear()
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration) == [[Way.NBD] * 2]
        see_moved(scene)

    play(body)


def test_a_final_pass_that_breaks_is_tried_over_nbd_again(play: Any) -> None:
    """No export can stand in."""

    async def body(scene: Scene) -> None:
        serving(scene)
        scene.world.hooks["source.shut_down"] = lambda: scene.world.fail("source.open_blocks")
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration)[-2:] == [[Way.CBT] * 2] * 2
        see_moved(scene)

    play(body)
