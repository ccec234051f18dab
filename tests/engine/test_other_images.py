"""Disks that are kept as qcow2 and that a VHD could hold: whole exports there are, differences there are not."""

from typing import Any

import msgspec
import pytest

from tests.engine.conftest import Scene
from tests.engine.test_tracking import see_moved, serving, ways_of
from xo_warmig.errors import InvalidRequest, SafetyError, WarmigError
from xo_warmig.model.images import QCOW2
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Verify
from xo_warmig.model.vm import PowerState


def test_nbd_that_goes_before_the_cutover_costs_no_downtime(play: Any) -> None:
    """The disk is copied whole by exports while the source runs, and the cutover is refused in the end."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        source.keeps_as = QCOW2

        def close() -> None:
            source.serves_blocks = False

        scene.world.hooks["target.assert_startable"] = close
        migration = await scene.start(max_passes=5)
        with pytest.raises(SafetyError) as error:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert error.value.code == "NO_DELTA"
        assert "source.shut_down" not in scene.world.trace
        assert scene.world.vm.power is PowerState.RUNNING
        scene.world.assert_quiet()

    play(body)


def test_a_running_vm_is_refused_where_no_pass_could_read_what_changed(play: Any) -> None:
    """Before anything is touched."""

    async def body(scene: Scene) -> None:
        scene.world.source.keeps_as = QCOW2
        with pytest.raises(InvalidRequest) as error:
            await scene.start()
        assert error.value.code == "IMAGE_NEEDS_NBD"
        assert "halted" in error.value.remedy

    play(body)


def test_a_halted_vm_goes_by_one_export_although_there_is_a_base(play: Any) -> None:
    """Of an attempt that was made while it ran, over NBD, which is gone now."""

    async def body(scene: Scene) -> None:
        source = serving(scene)
        source.keeps_as = QCOW2
        scene.world.always["target.assert_startable"] = scene.world.refusal("NO_HOSTS_AVAILABLE")
        first = await scene.start()
        with pytest.raises(WarmigError):
            await scene.engine.outcome(first)
        await scene.ended(first)
        assert scene.world.our_snapshots(), "the base is kept"
        scene.world.always.clear()
        scene.world.vm.power = PowerState.HALTED
        source.serves_blocks = False
        migration = await scene.start()
        await scene.ended_well(migration)
        assert ways_of(scene, migration) == [[Way.VHD] * 2]
        assert "COPIED_ANEW" in scene.codes(migration)
        see_moved(scene)

    play(body)


@pytest.mark.parametrize(("verify", "read_back"), [(Verify.SAMPLE, False), (Verify.FULL, True)])
def test_a_sample_is_not_worth_reading_all_of_a_copy(play: Any, verify: Verify, read_back: bool) -> None:
    """Of an image that is no VHD the target's pool would read every byte for it; all that was asked for is read all the same."""

    async def body(scene: Scene) -> None:
        scene.world.target.keeps_as = QCOW2
        migration = await scene.start(verify=verify)
        await scene.ended_well(migration)
        assert ("target.open_export" in scene.world.trace) is read_back
        assert ("NOT_READ_BACK" in scene.codes(migration)) is not read_back
        see_moved(scene)

    play(body)


def test_a_sample_that_will_not_be_taken_is_not_described(play: Any) -> None:
    """Where the target makes no VHD, and serves no NBD."""

    async def body(scene: Scene) -> None:
        target = scene.world.target
        for formats, told in (([QCOW2], "NOT_READ_BACK"), (["vhd"], "SAMPLE_OF_EXPORT_HEAD")):
            srs = {uuid: msgspec.structs.replace(sr, image_formats=formats) for uuid, sr in target.srs.items()}
            target.srs = srs
            codes = {each.code for each in (await scene.engine.plan(scene.request)).findings}
            assert codes & {"NOT_READ_BACK", "SAMPLE_OF_EXPORT_HEAD"} == {told}

    play(body)
