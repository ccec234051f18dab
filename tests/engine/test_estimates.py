"""A plan's figures come from what earlier migrations showed, as soon as there is one."""

from typing import Any

import msgspec

from tests.engine.conftest import Play
from xo_warmig.model.estimates import Basis


def test_a_downtime_over_the_budget_is_told_beforehand(play: Play) -> None:
    """A warning, with what was asked for; it stops nothing."""

    async def body(scene: Any) -> None:
        plan = await scene.engine.plan(scene.request)
        assert plan.estimate is not None
        assert plan.estimate.downtime_seconds.source is Basis.DEFAULT
        assert "DOWNTIME_OVER_BUDGET" not in [finding.code for finding in plan.findings]
        scene.request = type(scene.request)(
            vm="vm-1", sr="sr-target", start_destination_vm=True, delete_source_vm=False, target_downtime=0.5
        )
        plan = await scene.engine.plan(scene.request)
        (finding,) = [each for each in plan.findings if each.code == "DOWNTIME_OVER_BUDGET"]
        assert plan.possible
        assert finding.evidence["budget_seconds"] == 0.5
        assert finding.evidence["predicted_seconds"] == plan.estimate.downtime_seconds.value

    play(body)


def test_whoever_starts_without_a_plan_is_told_of_the_downtime_too(play: Play) -> None:
    """The same warning stands in the migration from its first fact on; none where the budget is kept."""

    async def body(scene: Any) -> None:
        scene.request = msgspec.structs.replace(scene.request, target_downtime=0.5)
        migration = await scene.start()
        (warning,) = scene.engine.report(migration).warnings
        assert (warning.code, warning.evidence["budget_seconds"]) == ("DOWNTIME_OVER_BUDGET", 0.5)
        await scene.ended_well(migration)

    play(body)


def test_a_migration_teaches_the_next_plan(play: Play) -> None:
    """The parts of its downtime between the same pools, what the same VM wrote, and what a pass costs beside its data."""

    async def body(scene: Any) -> None:
        works = scene.engine._works
        ends = (scene.world.source.uuid, scene.world.target.uuid)
        before = works.known_of("vm-1", *ends)
        assert (before.fixed_seconds, before.written_bytes_per_second, before.parts) == (None, None, {})
        migration = await scene.start()
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        known = works.known_of("vm-1", *ends)
        assert known.parts == {part.name: part.seconds for part in report.downtime.parts}
        assert known.written_bytes_per_second in [each.dirty_bytes_per_second for each in report.passes]
        assert known.fixed_seconds is not None
        assert works.known_of("vm-2", *ends).written_bytes_per_second is None
        assert works.known_of("vm-1", *reversed(ends)).parts == {}

    play(body)
