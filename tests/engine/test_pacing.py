"""Which limits hold for a copy, and what a migration under them does."""

from typing import Any, NamedTuple

import msgspec
import pytest

from tests.engine.conftest import REQUEST
from tests.engine.fake_pools import BLOCK, FakePools
from tests.engine.virtual_time import VirtualClock
from xo_warmig.disks.throttle import Throttle
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.lessons import seen_throughput
from xo_warmig.engine.pacing import Pacing, Way
from xo_warmig.model.findings import LimitOf
from xo_warmig.model.passes import PassKind, PassReport
from xo_warmig.model.rates import PoolRate, RateTable, WrittenRates, read_rates
from xo_warmig.model.units import KIB, MIB
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.line import Line


class APool(NamedTuple):
    """As much of a pool as limits look at."""

    uuid: str
    name: str
    names: frozenset[str]


def pool(name: str) -> Any:
    return APool(f"uuid-{name}", name, frozenset((f"uuid-{name}", name, f"{name}.example", "192.0.2.7")))


INTEL, AMD = pool("Intel"), pool("AMD")


def rated(default: int | str, *, final: bool = False, **hours: int | str) -> PoolRate:
    written = {text.removeprefix("h").replace("_", "-"): rate for text, rate in hours.items()}
    return read_rates(WrittenRates(default=default, hours=written, throttle_final_pass=final))


def way(migration: str = "m-1", source: Any = INTEL, target: Any = AMD, **asked: Any) -> Way:
    return Way(migration, msgspec.structs.replace(REQUEST, **asked), source, target)


def shares(throttle: Throttle) -> tuple[list[Any], list[Any]]:
    return list(throttle._reading), list(throttle._writing)


def limits(throttle: Throttle) -> tuple[list[Any], list[Any]]:
    reading, writing = shares(throttle)
    return [share.limit for share in reading], [share.limit for share in writing]


def rates(throttle: Throttle) -> tuple[list[float | None], list[float | None]]:
    """At this time of day, of the two ends."""
    reading, writing = limits(throttle)
    return [limit.rate() for limit in reading], [limit.rate() for limit in writing]


@pytest.mark.parametrize(
    ("asked", "pools", "running", "in_downtime"),
    [
        ({}, {}, ([], []), ([], [])),
        ({"max_rate": 9 * MIB}, {}, ([9 * MIB], [9 * MIB]), ([], [])),
        ({"max_rate": 9 * MIB, "throttle_final_pass": True}, {}, ([9 * MIB], [9 * MIB]), ([9 * MIB], [9 * MIB])),
        # By name, by host (in any case), by uuid; each at its own end.
        ({}, {"Intel": rated(MIB), "amd.EXAMPLE": rated(2 * MIB)}, ([MIB], [2 * MIB]), ([], [])),
        ({}, {"uuid-AMD": rated(2 * MIB), "other": rated(3 * MIB)}, ([], [2 * MIB]), ([], [])),
        # An address that both have; a pool that has two tables keeps to both.
        ({}, {"192.0.2.7": rated(MIB), "Intel": rated(2 * MIB)}, ([MIB, 2 * MIB], [MIB]), ([], [])),
        # A pool may insist on its limit; a request may keep to those of others.
        ({"max_rate": MIB}, {"Intel": rated(2 * MIB, final=True)}, ([MIB, 2 * MIB], [MIB]), ([2 * MIB], [])),
        ({"throttle_final_pass": True}, {"AMD": rated(2 * MIB)}, ([], [2 * MIB]), ([], [2 * MIB])),
    ],
)
def test_which_limits_hold(asked: dict[str, Any], pools: dict[str, PoolRate], running: Any, in_downtime: Any) -> None:
    """The migration's at both ends, a pool's at its own; in the downtime only where it was told so."""
    pacing = Pacing(pools)
    assert rates(pacing.throttle(way(**asked), in_downtime=False)) == running
    assert rates(pacing.throttle(way(**asked), in_downtime=True)) == in_downtime
    for final, ends in ((False, running), (True, in_downtime)):
        assert pacing.most(way(**asked), in_downtime=final) == min([*ends[0], *ends[1]], default=None)


def test_disks_and_migrations_share_what_is_theirs() -> None:
    """A migration's limit is that of all its disks, a pool's that of all migrations, whichever way they go."""
    pacing = Pacing({"Intel": rated(5 * MIB)})
    one, same = (pacing.throttle(way("m-1", max_rate=MIB), in_downtime=False) for _ in range(2))
    other = pacing.throttle(way("m-2", max_rate=MIB), in_downtime=False)
    back = pacing.throttle(way("m-3", source=AMD, target=INTEL), in_downtime=False)
    (own, intel), (own_writing,) = limits(one)
    assert shares(same) == shares(one), "the disks of a migration have one share of each limit"
    assert {*shares(one)[0]}.isdisjoint(shares(other)[0])
    assert own is not own_writing
    assert limits(other)[0][0] is not own
    assert limits(other)[0][1] is intel
    assert limits(back) == ([], [intel])


def test_a_limit_changes_with_the_hour() -> None:
    """While copies are under it; how small their pieces are, by the slowest hour of the day."""
    minute = [7 * 60]
    pacing = Pacing({"Intel": rated("10MiB", h08_18="256KiB", h22_06="unlimited")}, minute=lambda: minute[0])
    throttle = pacing.throttle(way(), in_downtime=False)
    seen = []
    for minute[0] in (7 * 60, 8 * 60, 18 * 60, 23 * 60):
        seen.append((rates(throttle)[0][0], pacing.most(way(), in_downtime=False)))
    assert seen == [(10 * MIB, 10 * MIB), (256 * KIB, 256 * KIB), (10 * MIB, 10 * MIB), (None, None)]
    assert throttle.piece_bytes == 256 * KIB
    assert pacing.throttle(way(source=AMD), in_downtime=False).piece_bytes == 2 * MIB


def test_a_plan_tells_all_limits() -> None:
    """What they are at this hour, over the day, and whether they hold in the downtime."""
    pacing = Pacing({"intel": rated("10MiB", h08_18=MIB), "AMD": rated(7 * MIB, final=True)}, minute=lambda: 9 * 60)
    found = pacing.planned(way("", max_rate=3 * MIB))
    planned = found.holding
    assert [(each.of, each.name, each.bytes_per_second, each.final_pass) for each in planned] == [
        (LimitOf.MIGRATION, "", 3 * MIB, False),
        (LimitOf.SOURCE, "Intel", MIB, False),
        (LimitOf.TARGET, "AMD", 7 * MIB, True),
    ]
    assert planned[1].table.default == 10 * MIB
    assert (found.minute, Pacing().planned(way()).holding) == (9 * 60, [])
    assert found.line(in_downtime=False) == Line([each.table for each in planned], 9 * 60)
    assert found.line(in_downtime=True) == Line([planned[2].table], 9 * 60)


# Whole migrations. The guest is quiet, so that passes tell their limits and nothing else.

RATE = 10 * MIB


async def migrated(scene: Any, **asked: Any) -> list[PassReport]:
    """The passes of a whole migration."""
    migration = await scene.start(**asked)
    await scene.ended_well(migration)
    scene.world.assert_quiet()
    passes: list[PassReport] = scene.engine.report(migration).passes
    return passes


def test_the_final_pass_is_exempt(play: Any) -> None:
    """All disks together keep to the rate while the source runs; in the downtime they are as fast as they can be."""

    async def body(scene: Any) -> None:
        scene.world.dirty_per_call = 2
        *before, final = await migrated(scene, max_rate=RATE)
        assert {each.kind for each in before} == {PassKind.FULL, PassKind.DELTA}
        for each in before:
            assert each.throttled
            assert each.throughput_bytes_per_second <= RATE * 1.1
        assert before[0].throughput_bytes_per_second >= RATE * 0.8
        assert not final.throttled
        assert final.throughput_bytes_per_second > 3 * RATE
        scene.world.assert_equal()

    play(body)


def test_the_final_pass_keeps_to_the_limit_when_told_to(play: Any) -> None:
    """By the request; the prediction knows."""

    async def body(scene: Any) -> None:
        scene.world.dirty_per_call = 2
        *before, final = await migrated(scene, max_rate=RATE, throttle_final_pass=True)
        assert final.throttled
        assert final.throughput_bytes_per_second <= RATE * 1.1
        downtime = scene.engine.reports()[0].downtime
        assert before[-1].predicted_downtime_seconds == pytest.approx(downtime.seconds, rel=0.6)

    play(body)


def test_a_vm_that_is_off_anyway_has_no_downtime_to_save(play: Any) -> None:
    """Its one pass is a final one, of all its disks: limits hold for it."""

    async def body(scene: Any) -> None:
        scene.world.vm.power = PowerState.HALTED
        (only,) = await migrated(scene, max_rate=RATE)
        assert (only.kind, only.throttled) == (PassKind.FINAL, True)
        assert only.throughput_bytes_per_second == pytest.approx(RATE, rel=0.1)

    play(body)


def test_predictions_use_what_the_final_pass_may_use(play: Any) -> None:
    """Of the first migration between two pools nobody knows it, and what is told is more; of the next one it is known."""

    async def body(scene: Any) -> None:
        world = scene.world
        world.dirty_per_call = 20
        world.throughput = 20 * BLOCK
        first = await migrated(scene, max_rate=RATE, max_passes=3, target_downtime=0.5)
        taken = scene.engine.reports()[0].downtime.seconds
        assert first[-2].predicted_downtime_seconds > taken * 1.2
        (warned,) = [each for each in scene.engine.reports()[0].warnings if each.code == "DOWNTIME_ABOVE_TARGET"]
        assert "it may be shorter" in warned.message
        works, plan = scene.engine._works, scene.engine._journals[scene.engine.reports()[0].id].state.plan
        between = works.passes_between(plan.source_pool, plan.target_pool)
        assert seen_throughput(between) == first[-1].throughput_bytes_per_second > 2 * RATE
        assert seen_throughput(works.passes_between("another", plan.target_pool)) is None

    play(body)


def test_a_pool_s_limit_is_looked_up_by_what_the_pool_is_called(play: Any) -> None:
    """And told by the plan."""

    async def body(scene: Any) -> None:
        table = RateTable(default=RATE)
        pacing = Pacing({"target.example": PoolRate(table=table)})
        await scene.engine.close()
        scene.engine = Engine(FakePools(scene.world), clock=VirtualClock(), streams=scene.world.streams, pacing=pacing)
        await scene.engine.open()
        (limit,) = (await scene.engine.plan(scene.request)).limits
        assert (limit.of, limit.name, limit.bytes_per_second, limit.table) == (LimitOf.TARGET, "target", RATE, table)
        *before, final = await migrated(scene)
        assert all(each.throttled for each in before)
        assert not final.throttled

    play(body)
