"""A whole migration through the engine's own interface, on pools in memory."""

from typing import Any

from xo_warmig.model.passes import PassKind, Verdict
from xo_warmig.model.phases import Phase
from xo_warmig.model.vm import PowerState


def test_a_running_vm_moves_with_equal_disks(play: Any) -> None:
    """Full pass, deltas, cutover; the target runs with the same blocks, the source is halted and blocked."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        target = await scene.engine.outcome(migration)
        await scene.ended(migration)
        world, report = scene.world, scene.engine.report(migration)
        assert report.phase is Phase.DONE
        assert world.the_target().uuid == target
        assert world.the_target().power is PowerState.RUNNING
        assert world.vm.power is PowerState.HALTED
        world.assert_equal()
        world.assert_quiet()
        kinds = [each.kind for each in report.passes]
        assert kinds[0] is PassKind.FULL
        assert kinds[-1] is PassKind.FINAL
        assert PassKind.DELTA in kinds
        assert all(each.verdict is Verdict.COMPLETE for each in report.passes)
        assert report.progress == 1.0
        assert world.our_snapshots() == []

    play(body)
