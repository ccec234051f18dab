"""What is read back in a migration: a difference never leads on, and what cannot be compared is told."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.engine.fake_pools import BLOCK
from tests.engine.lives import Lives
from tests.engine.virtual_time import run_virtual
from tests.engine.world import World
from xo_warmig.engine.hashes import MemoryTables
from xo_warmig.errors import PoolError, TransferError, WarmigError
from xo_warmig.model.events import FinalReadBack
from xo_warmig.model.passes import PassKind, Verdict, Way
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import Verify, WarmMigrationRequest
from xo_warmig.model.vm import PowerState

FULL = {"verify": Verify.FULL, "start_destination_vm": False}


async def mismatched(scene: Any, **changes: Any) -> str:
    """It fails of a difference, and the source runs on."""
    migration = str(await scene.start(**changes))
    with pytest.raises(WarmigError) as failure:
        await scene.engine.outcome(migration)
    await scene.ended(migration)
    assert failure.value.code == "READ_BACK_MISMATCH"
    assert failure.value.evidence["rule"] == "R4"
    scene.world.assert_as_found()
    return migration


def spoil(world: World, *blocks: int) -> None:
    world.corrupts = set(blocks)


@pytest.mark.parametrize("verify", [Verify.SAMPLE, Verify.FULL])
@pytest.mark.parametrize("blocks_served", [False, True], ids=["from an export", "over NBD"])
def test_a_difference_after_the_full_pass_fails_it(play: Any, verify: Verify, blocks_served: bool) -> None:
    """The pass is no base; the next try copies the disk anew."""

    async def body(scene: Any) -> None:
        scene.world.target.serves_blocks = blocks_served
        spoil(scene.world, 0)
        migration = await mismatched(scene, verify=verify)
        (report,) = scene.engine.report(migration).passes
        assert report.verdict is not Verdict.COMPLETE
        assert "source.shut_down" not in scene.world.trace
        spoil(scene.world)
        await scene.migrate(verify=verify, start_destination_vm=False)
        scene.world.assert_equal()

    play(body)


def test_a_difference_after_a_delta_sends_its_blocks_again(play: Any) -> None:
    """The base stays, and what the pass wrote is in the next one (R18)."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.hooks["source.snapshot_disk"] = lambda: spoil(world, *(range(64) if world.our_snapshots()[2:] else ()))
        migration = await mismatched(scene, verify=Verify.FULL)
        first, second = scene.engine.report(migration).passes
        assert (first.verdict, second.kind) == (Verdict.COMPLETE, PassKind.DELTA)
        assert second.verdict is not Verdict.COMPLETE
        del world.hooks["source.snapshot_disk"]
        spoil(world)
        retry = str(await scene.start(**FULL))
        await scene.ended_well(retry)
        assert scene.engine.report(retry).passes[0].kind is PassKind.DELTA
        world.assert_equal()

    play(body)


@pytest.mark.parametrize("running", [True, False], ids=["in the downtime", "of a halted VM"])
def test_a_difference_after_the_final_pass_starts_nothing(play: Any, running: bool) -> None:
    """The source is given back, and the retry brings all of it."""

    async def body(scene: Any) -> None:
        world = scene.world
        if not running:
            world.vm.power = PowerState.HALTED
            spoil(world, *range(64))
        world.hooks["source.shut_down"] = lambda: spoil(world, *range(64))
        migration = str(await scene.start(verify=Verify.FULL))
        with pytest.raises(WarmigError, match="does not hold"):
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert "target.start_vm" not in world.trace
        world.assert_quiet()
        assert scene.named(migration)[-1] != Phase.DONE
        del world.hooks["source.shut_down"]
        spoil(world)
        await scene.migrate(**FULL)
        world.assert_equal()

    play(body)


@pytest.mark.parametrize("blocks_served", [False, True], ids=["from exports", "over NBD"])
def test_all_of_every_pass_is_compared(play: Any, blocks_served: bool) -> None:
    """It counts in reports, in the downtime's parts, and in the prediction."""

    async def body(scene: Any) -> None:
        around = scene.engine._around
        around.settings = msgspec.structs.replace(around.settings, start_seconds=0.02)  # as it is here
        scene.world.target.serves_blocks = blocks_served
        migration = str(await scene.start(verify=Verify.FULL))
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        for each in report.passes:
            backs = [disk.read_back for disk in each.disks if disk.written_bytes]
            assert all(back is not None and back.way is (Way.NBD if blocks_served else Way.VHD) for back in backs)
            assert each.read_back_blocks == each.written_bytes // BLOCK
            assert each.read_back_bytes >= each.written_bytes
        parts = {part.name: part.seconds for part in report.downtime.parts}
        assert parts["readBack"] > 0
        assert report.predicted_downtime_seconds == pytest.approx(report.downtime.seconds, rel=0.25)
        assert isinstance(report.passes[-1].read_back_seconds, float)
        assert any(isinstance(each.event, FinalReadBack) for each in scene.engine.events(migration))

    play(body)


def test_a_sample_costs_no_downtime_and_none_nothing(play: Any) -> None:
    """The final pass is not read back; without it no pass is, and no hashes are kept."""

    async def body(scene: Any) -> None:
        for verify in (Verify.NONE, Verify.SAMPLE):
            before = len(scene.world.trace)
            migration = str(await scene.start(verify=verify, start_destination_vm=False))
            await scene.ended_well(migration)
            report = scene.engine.report(migration)
            assert (report.passes[0].read_back_blocks > 0) == (verify is Verify.SAMPLE)
            assert report.passes[-1].read_back_blocks == 0
            calls = scene.world.trace[before:]
            assert ("target.open_export" in calls) == (verify is Verify.SAMPLE)
            assert ("copy.check" in calls) == (verify is Verify.SAMPLE)
            assert "readBack" not in {part.name for part in report.downtime.parts} if report.downtime else True
            return_source(scene.world)

    play(body)


def return_source(world: World) -> None:
    """As if its owner had taken the VM back."""
    world.vm.power, world.vm.blocked = PowerState.RUNNING, {}
    world.target.vms.clear()


def test_a_sample_that_cannot_be_read_is_told_and_no_more(play: Any) -> None:
    """All that was asked for fails of it."""

    async def body(scene: Any) -> None:
        scene.world.always["target.open_export"] = TransferError("no export", code="HTTP_403")
        migration = str(await scene.start(verify=Verify.SAMPLE))
        await scene.ended_well(migration)
        assert "NOT_READ_BACK" in scene.codes(migration)
        assert all(each.read_back_blocks == 0 for each in scene.engine.report(migration).passes)

    play(body)

    async def strict(scene: Any) -> None:
        scene.world.always["target.open_export"] = TransferError("no export", code="HTTP_403")
        migration = str(await scene.start(verify=Verify.FULL))
        with pytest.raises(TransferError, match="no export"):
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        scene.world.assert_as_found()

    play(strict)


def test_a_read_back_that_breaks_is_begun_again(play: Any) -> None:
    """From the same hashes; a pool that hangs up over NBD is read by an export, and that is told."""

    async def body(scene: Any) -> None:
        scene.world.target.serves_blocks = True
        scene.world.fail("copy.check", 1, error=TransferError("it broke"), times=2)
        migration = str(await scene.start(**FULL))
        await scene.ended_well(migration)
        assert scene.codes(migration) == ["HA_LEFT_OFF"]

    play(body)

    async def hung_up(scene: Any) -> None:
        scene.world.target.serves_blocks = True
        scene.world.always["target.open_blocks"] = TransferError("no connection", code="HOST_UNREACHABLE")
        migration = str(await scene.start(**FULL))
        await scene.ended_well(migration)
        assert set(scene.codes(migration)) == {"WAY_CHANGED", "HA_LEFT_OFF"}
        assert scene.world.counts["target.open_blocks"] == 4, "two tries for each disk, and none again in the downtime"
        assert scene.engine.report(migration).passes[-1].read_back_blocks > 0
        scene.world.assert_equal()

    play(hung_up)


def test_hashes_that_were_lost_are_told_and_nothing_is_guessed() -> None:
    """Of a state directory that was copied without them, in the middle of a pass: what came after is compared."""

    async def whole() -> None:
        world = World()
        lives = Lives(world)
        await lives.engine.open()
        world.fail("copy.check", 1, hook=lives.die, kills=True)
        request = WarmMigrationRequest(
            vm="vm-1", sr="sr-target", start_destination_vm=False, delete_source_vm=False, verify=Verify.FULL
        )
        migration = (await lives.engine.start(request, user="admin")).id
        while not lives.is_over(1):
            await asyncio.sleep(0.01)
        lives.tables = MemoryTables()
        engine = await lives.next()
        await engine.outcome(migration)
        codes = [warning.code for warning in engine.report(migration).warnings]
        assert "READ_BACK_INCOMPLETE" in codes
        assert world.violations == []
        world.assert_equal()
        await engine.close()

    run_virtual(whole())


def test_a_full_disk_of_the_server_fails_the_pass(play: Any) -> None:
    """The hashes cannot be kept, so nothing could be compared."""

    async def body(scene: Any) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise WarmigError("no room", code="STATE_NOT_WRITABLE")

        scene.engine._around.tables.open = refuse
        migration = str(await scene.start())
        with pytest.raises(WarmigError) as failure:
            await scene.engine.outcome(migration)
        await scene.ended(migration)
        assert failure.value.code == "STATE_NOT_WRITABLE"
        assert not isinstance(failure.value, PoolError)
        scene.world.assert_as_found()

    play(body)
