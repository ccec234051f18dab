"""Limits of the configuration whose pool nobody knows: the plan warns of them, and the log does."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.engine.conftest import Play
from tests.engine.fake_pools import FakePools
from tests.engine.virtual_time import VirtualClock
from xo_warmig.engine.engine import Engine
from xo_warmig.engine.pacing import Pacing
from xo_warmig.model.findings import Severity
from xo_warmig.model.rates import PoolRate, RateTable
from xo_warmig.model.units import MIB

RATE = PoolRate(table=RateTable(default=MIB))


@asynccontextmanager
async def limited(scene: Any, *names: str) -> AsyncIterator[None]:
    """With limits of these pools in the configuration."""
    await scene.engine.close()
    pacing = Pacing(dict.fromkeys(names, RATE))
    scene.pools = FakePools(scene.world)
    scene.engine = Engine(scene.pools, clock=VirtualClock(), streams=scene.world.streams, pacing=pacing)
    await scene.engine.open()
    yield


def warned(plan: Any) -> list[Any]:
    return [each for each in plan.findings if each.code == "LIMIT_WITHOUT_POOL"]


def test_a_plan_warns_of_a_limit_that_fits_no_pool(play: Play) -> None:
    """Under its name as it was written, with those that there are; it stops nothing. Any name of a pool fits, in any case."""

    async def body(scene: Any) -> None:
        async with limited(scene, "Target.Example", "SOURCE", "Branch Ofice"):
            plan = await scene.engine.plan(scene.request)
            (finding,) = warned(plan)
            assert plan.possible
            assert finding.severity is Severity.WARNING
            assert '[pools."Branch Ofice".rate]' in finding.message
            assert finding.evidence == {
                "name": "Branch Ofice",
                "connected": ["source", "target"],
                "notConnected": [],
            }
            assert "source, target" in finding.remedy

    play(body)


def test_a_plan_without_strange_limits_warns_of_none(play: Play) -> None:
    """The one there is fits."""

    async def body(scene: Any) -> None:
        async with limited(scene, "target"):
            assert warned(await scene.engine.plan(scene.request)) == []

    play(body)


def test_of_a_pool_that_is_away_it_is_not_known(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """That is told with it; and its own name is no stranger. Before any pool is connected nothing is told."""

    async def body(scene: Any) -> None:
        scene.world.down = {"target", "source"}
        async with limited(scene, "source", "elsewhere"):
            await asyncio.sleep(60)
            assert "elsewhere" not in caplog.text
            scene.world.down = {"source"}
            scene.pools.connected_now.set()
            scene.pools.connected_now = asyncio.Event()
            await asyncio.sleep(60)

    play(body)
    (line,) = [record.message for record in caplog.records if "fits no pool" in record.message]
    assert '[pools."elsewhere".rate]' in line
    assert "(source did not answer)" in line


def test_the_log_tells_once(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """Shortly after the start, and not again with each pool that connects."""
    caplog.set_level(logging.WARNING)

    async def body(scene: Any) -> None:
        async with limited(scene, "elsewhere"):
            for _ in range(3):
                await asyncio.sleep(60)
                scene.pools.connected_now.set()
                scene.pools.connected_now = asyncio.Event()

    play(body)
    assert len([record for record in caplog.records if "fits no pool" in record.message]) == 1
