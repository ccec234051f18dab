"""A plan's figures come from what earlier migrations showed, as soon as there is one."""

from typing import Any

import msgspec
import pytest

from tests.engine.conftest import Play
from xo_warmig.errors import IncorrectState
from xo_warmig.model.estimates import Basis
from xo_warmig.model.events import Decided
from xo_warmig.model.phases import Phase
from xo_warmig.model.units import MIB
from xo_warmig.model.vm import PowerState


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
        assert (before.fixed, before.speeds, before.written_bytes_per_second, before.parts) == ({}, {}, None, {})
        migration = await scene.start()
        await scene.ended_well(migration)
        report = scene.engine.report(migration)
        known = works.known_of("vm-1", *ends)
        assert known.parts == {part.name: part.seconds for part in report.downtime.parts}
        assert known.written_bytes_per_second in [each.dirty_bytes_per_second for each in report.passes]
        assert set(known.fixed) == {"prepare", "copy", "sync", "cutover", "finish"}
        passes = sum(each.seconds for each in report.passes[:-1])
        around = sum(known.fixed[name].at(1) for name in ("prepare", "cutover", "finish"))
        spent = report.finished - report.created
        assert around + passes + report.downtime.seconds == pytest.approx(spent, rel=0.05, abs=0.2)
        assert works.known_of("vm-2", *ends).written_bytes_per_second is None
        assert works.known_of("vm-1", *reversed(ends)).parts == {}

    play(body)


def test_what_a_vm_wrote_long_ago_is_forgotten(play: Play) -> None:
    """A VM that became a database is not planned for by the many deltas of the time before."""

    async def body(scene: Any) -> None:
        migration = await scene.start()
        await scene.ended_well(migration)
        state = scene.engine._journals[migration].state
        delta = state.passes[1]
        rates = [1.0 * MIB] * 40 + [50.0 * MIB] * 9
        state.passes[1:2] = [msgspec.structs.replace(delta, dirty_bytes_per_second=rate) for rate in rates]
        state.passes[-1] = msgspec.structs.replace(state.passes[-1], dirty_bytes_per_second=None)
        known = scene.engine._works.known_of("vm-1", scene.world.source.uuid, scene.world.target.uuid)
        assert known.written_bytes_per_second == 50.0 * MIB

    play(body)


def test_a_host_s_word_is_asked_for_where_no_delta_gave_one(play: Play) -> None:
    """A VM that was never migrated; of one that was, its deltas tell."""

    async def body(scene: Any) -> None:
        scene.world.source.rate = 3.0 * MIB
        plan = await scene.engine.plan(scene.request)
        assert (plan.estimate.written_bytes_per_second.value, plan.estimate.written_bytes_per_second.source) == (
            3.0 * MIB,
            Basis.SAMPLED,
        )
        await scene.ended_well(await scene.start())
        scene.world.vm.power = PowerState.RUNNING  # of one that is halted nothing is asked
        plan = await scene.engine.plan(scene.request)
        assert plan.estimate.written_bytes_per_second.source is Basis.MEASURED

    play(body)


def test_the_first_prediction_is_the_host_s_word(play: Play) -> None:
    """After the full pass, with where it comes from; what follows is measured, and one that tells nothing leaves it open."""

    async def decisions(scene: Any, rate: float | None) -> list[Any]:
        scene.world.source.rate = rate
        migration = await scene.start()
        await scene.ended_well(migration)
        return [each.event for each in scene.engine.events(migration) if isinstance(each.event, Decided)]

    async def body(scene: Any) -> None:
        first, *others = await decisions(scene, 3.0 * MIB)
        assert first.predicted_downtime_seconds > 0
        assert "by what its host saw the guest write" in first.reason
        assert others
        assert not any("its host" in each.reason for each in others)

    async def untold(scene: Any) -> None:
        assert (await decisions(scene, None))[0].predicted_downtime_seconds is None

    play(body)
    play(untold)


def test_where_a_person_was_waited_for_nothing_is_learned_of_it(play: Play) -> None:
    """Before the cutover, or for the commit; what came before it is as good as any."""

    async def body(scene: Any) -> None:
        migration = await scene.start(cutover="hold", commit="manual")
        while scene.engine.report(migration).phase != Phase.HOLDING:
            await scene.engine._journals[migration].changed()
        await scene.engine.cutover(migration)
        await scene.engine.outcome(migration)
        while scene.engine.report(migration).phase != Phase.AWAITING_COMMIT:
            await scene.engine._journals[migration].changed()
        await scene.engine.commit(migration)
        known = scene.engine._works.known_of("vm-2", scene.world.source.uuid, scene.world.target.uuid)
        assert set(known.fixed) == {"prepare", "copy", "sync"}

    play(body)


def test_nothing_is_begun_by_a_server_that_stops_while_a_host_is_asked(play: Play) -> None:
    """It may take that seconds to say how fast the guest writes; the migration would be nobody's then."""

    async def body(scene: Any) -> None:
        async def asked(vm: str) -> None:
            scene.engine._closing = True

        scene.world.source.written_bytes_per_second = asked
        with pytest.raises(IncorrectState) as refused:
            await scene.start()
        assert refused.value.code == "SERVER_STOPPING"
        assert not scene.engine._journals

    play(body)
