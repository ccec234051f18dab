"""A migration as others see it: a task on each pool for any XAPI client, one task and busy VMs for XO's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import XenAPI

from xo_warmig.client import CallFailed
from xo_warmig.engine.settings import Settings
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool

World = Any
Worlds = Callable[..., Any]

LABEL = "Warm migration of web-1"


class Spectator:
    """PyPI's XAPI client, as a script of somebody else's has it."""

    def __init__(self, pool: Pool) -> None:
        self._session = XenAPI.Session(pool.url, ignore_ssl=True)
        self._session.xenapi.login_with_password(pool.username, pool.password, "2.0", "somebody")
        self.progress: list[float] = []

    def tasks(self) -> dict[str, Any]:
        """Those of migrations, by reference."""
        records = self._session.xenapi.task.get_all_records()
        return {ref: record for ref, record in records.items() if record["name_label"] == LABEL}

    def look(self) -> None:
        """Note how far it is."""
        for record in self.tasks().values():
            assert record["status"] == "pending"
            self.progress.append(record["progress"])

    def cancel(self) -> None:
        (ref,) = self.tasks()
        self._session.xenapi.task.cancel(ref)

    def has_grown(self) -> bool:
        return len(set(self.progress)) >= 4

    def __enter__(self) -> "Spectator":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.xenapi.session.logout()
        self._session("close")()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """So that a test need not last."""
    settings = Settings(pool_task_seconds=0.3, pool_task_linger_seconds=1.0)
    monkeypatch.setattr("xo_warmig.engine.engine.Settings", lambda: settings)
    return settings


async def xo_objects(world: World, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = await world.client.call("xo.getAllObjects", filter=f"type:{kind}")
    return found


async def until(seen: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(seen):
            await asyncio.sleep(0.1)


async def test_a_stranger_sees_it_grow_on_both_pools_and_cancels_it(worlds: Worlds, often: Settings) -> None:
    """The migration ends as cancelled, the source runs on, and a while later no task is left."""
    async with worlds() as world:
        with Spectator(world.source) as at_source, Spectator(world.target) as at_target:
            await see_it_cancelled(world, (at_source, at_target))


async def see_it_cancelled(world: World, both: tuple[Spectator, Spectator]) -> None:
    migration = asyncio.ensure_future(world.migrate(maxRate=5 * MIB))

    def grown() -> bool:
        for each in both:
            each.look()
        return all(each.has_grown() for each in both)

    await until(grown)
    for each in both:
        assert each.progress == sorted(each.progress)
        assert 0 < each.progress[-1] < 1

    (id_,) = [id for id, task in (await xo_objects(world, "task")).items() if task["name_label"] == LABEL]
    assert id_ == (await world.last_report())["id"], "one task is on show, and it is the one that XO can cancel"
    vms = await xo_objects(world, "VM")
    busy = {vm["power_state"]: vm["current_operations"] for vm in vms.values() if vm["current_operations"]}
    assert busy == {"Running": {id_: "migrate_send"}, "Halted": {id_: "import"}}
    assert (await world.vm_of(world.source, world.vm))["current_operations"] == {}, "the pool's record is its own"

    await asyncio.to_thread(both[1].cancel)
    with pytest.raises(CallFailed, match="cancelled"):
        await asyncio.wait_for(migration, 30)
    assert (await world.last_report())["phase"] == "cancelled"
    assert (await world.vm_of(world.source, world.vm))["power_state"] == "Running"
    await until(lambda: all({t["status"] for t in each.tasks().values()} <= {"cancelled"} for each in both))
    await until(lambda: not any(each.tasks() for each in both))
    assert not any(vm["current_operations"] for vm in (await xo_objects(world, "VM")).values())
    assert (await world.client.call("warmMigration.sweep"))["objects"] == []


async def test_a_pool_that_refuses_to_be_told_is_no_obstacle(worlds: Worlds, often: Settings) -> None:
    """It is asked once for each thing, as long as the server runs; how the migration ended it shows all the same."""
    setters = ("task.set_other_config", "task.set_progress")
    async with worlds() as world:
        for match in setters:
            refusal = {"kind": "fail", "match": match, "times": 1000, "error": ["RBAC_PERMISSION_DENIED", match, "no"]}
            await world.control(world.source, "faults", **refusal)
        with Spectator(world.source) as at_source:
            target = await world.migrate()
            await until(lambda: "success" in {task["status"] for task in at_source.tasks().values()})
            await until(lambda: not at_source.tasks())
        assert (await world.vm_of(world.target, target))["power_state"] == "Running"
        calls = (await world.control(world.source, "trace"))["calls"]
        refused = [call["method"] for call in calls if call["error"] == "RBAC_PERMISSION_DENIED"]
        assert sorted(refused) == sorted(setters)
