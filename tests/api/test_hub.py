"""The task on show for each migration, and who is told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from xo_warmig.api import tasks
from xo_warmig.api.hub import Hub
from xo_warmig.api.outbox import Outbox
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.model.phases import STAGES, Phase, WaitingFor
from xo_warmig.model.requests import WarmMigrationRequest


@dataclass(eq=False)
class Listener:
    """A connection that is signed in."""

    session: Session = field(default_factory=lambda: Session("a", user_id="u"))
    outbox: Outbox = field(default_factory=Outbox)
    follows_pools: bool = True

    async def items(self) -> dict[str, Any]:
        """Those of the next ``all`` notification."""
        async with asyncio.timeout(5):
            while True:
                message = json.loads(await self.outbox.next())
                if message["method"] == "all":
                    items: dict[str, Any] = message["params"]["items"]
                    return items


@pytest.fixture
async def hub(fake_engine: Any) -> AsyncIterator[Hub]:
    """One that runs, and shows ended tasks for a moment."""
    hub = Hub(fake_engine, linger_seconds=0.02)
    running = asyncio.create_task(hub.run())
    await asyncio.sleep(0)
    yield hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


REQUEST = WarmMigrationRequest(vm="v", sr="s", start_destination_vm=True, delete_source_vm=False)


async def test_a_task_comes_and_goes(hub: Hub, fake_engine: Any) -> None:
    """Pending, then its end, then gone for good."""
    listener = Listener()
    hub.join(listener)
    id = (await fake_engine.start(REQUEST, user="u")).id
    assert (await listener.items())[id]["status"] == "pending"
    fake_engine.finish(id, "target")
    ended = (await listener.items())[id]
    assert (ended["status"], ended["progress"], ended["result"]) == ("success", 1, "target")
    assert await listener.items() == {id: 0}
    fake_engine.move(id, phase=Phase.DONE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await listener.items()


async def test_a_forgotten_task_is_gone_at_once(hub: Hub, fake_engine: Any) -> None:
    """Nobody waits for the end of its time on show, and it does not come back."""
    hub._linger_seconds = 60
    listener = Listener()
    hub.join(listener)
    id = (await fake_engine.start(REQUEST, user="u")).id
    fake_engine.finish(id, "target")
    while (await listener.items())[id]["status"] != "success":
        pass
    assert [task.id for task in hub.tasks()] == [id]
    await fake_engine.forget_task(id)
    assert await listener.items() == {id: 0}
    assert hub.tasks() == []
    fake_engine.move(id, phase=Phase.DONE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await listener.items()


async def test_nobody_signed_in_nothing_told(hub: Hub, fake_engine: Any) -> None:
    """Nor after leaving."""
    stranger, left = Listener(session=Session("a")), Listener()
    hub.join(stranger)
    hub.join(left)
    hub.leave(left)
    await fake_engine.start(REQUEST, user="u")
    await asyncio.sleep(0.01)
    for listener in (stranger, left):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await listener.outbox.next()


async def test_reports_are_for_administrators(hub: Hub, fake_engine: Any) -> None:
    """Others see the task, as XO shows it to everybody, and not what stands in errors and requests."""
    user, admin = Listener(), Listener(session=Session("a", user_id="u", is_admin=True))
    hub.join(user)
    hub.join(admin)
    await fake_engine.start(REQUEST, user="u")
    assert await methods_told(user) == ["all"]
    assert await methods_told(admin) == ["all", "warmMigration"]


async def test_an_expired_token_hears_nothing(hub: Hub, fake_engine: Any) -> None:
    """Though its socket is still open: it sent nothing since."""
    expired = Listener(session=Session("a", user_id="u", is_admin=True, expires_ms=1))
    hub.join(expired)
    await fake_engine.start(REQUEST, user="u")
    assert await methods_told(expired) == []


async def methods_told(listener: Listener) -> list[str]:
    """The notifications that come within a moment."""
    told: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            while True:
                told.append(json.loads(await listener.outbox.next())["method"])
    return told


@pytest.mark.parametrize(
    ("phase", "status", "operations"),
    [
        (Phase.PREPARING, "pending", ["cancel"]),
        (Phase.STARTING, "pending", []),
        (Phase.ROLLING_BACK, "pending", []),
        (Phase.CANCELLING, "cancelling", []),
        (Phase.CANCELLED, "cancelled", []),
        (Phase.FAILED, "failure", []),
        (Phase.DONE, "success", []),
    ],
)
def test_phases_as_task_states(report: Callable[..., Any], phase: Phase, status: str, operations: list[str]) -> None:
    """A task may be cancelled exactly while its migration may."""
    task = tasks.of_report(report(phase=phase))
    assert (task.status, task.allowed_operations) == (status, operations)


def test_members_of_a_task(report: Callable[..., Any]) -> None:
    """All that XO's clients read without a guard."""
    failed = report(phase=Phase.FAILED, error={"code": "X"}, created=5.7, finished=9.2)
    task = json.loads(to_json(tasks.of_report(failed)))
    assert task["$pool"] == task["$poolId"] == "pool-1"
    assert task["_xapiRef"] == task["xapiRef"] == "OpaqueRef:m1"
    assert (task["created"], task["finished"], task["current_operations"]) == (5, 9, {})
    assert json.loads(task["result"]) == {"code": "X"}
    assert "$host" not in task


async def test_a_task_is_on_a_host(fake_engine: Any) -> None:
    """XO's pages write "on unknown host" without one."""
    hub = Hub(fake_engine, linger_seconds=1, master_of={"pool-1": "host-1"}.get)
    await fake_engine.start(REQUEST, user="u")
    (task,) = hub.tasks()
    assert json.loads(to_json(task))["$host"] == "host-1"


TIME = 1_790_000_000.0


@pytest.mark.parametrize(
    ("phase", "changes", "description"),
    [
        (Phase.COPYING, {}, "copy: copying"),
        (Phase.COPYING, {"paused": True}, "copy: copying, paused, waiting for warmMigration.resume"),
        (
            Phase.COPYING,
            {"waiting_for": WaitingFor.POOL, "waiting_reason": "root@amd: 401"},
            "copy: copying, waiting for a pool",
        ),
        (Phase.HOLDING, {}, "sync: holding, waiting for warmMigration.cutover"),
        (
            Phase.HOLDING,
            {"predicted_downtime_seconds": 3.2},
            "sync: holding, predicted downtime 3.2 s, waiting for warmMigration.cutover",
        ),
        (
            Phase.HOLDING,
            {"cutover_time": TIME},
            "sync: holding, until 2026-09-21 14:13:20 UTC, waiting for warmMigration.cutover",
        ),
        (
            Phase.AWAITING_COMMIT,
            {},
            "finish: awaiting commit, waiting for warmMigration.commit or warmMigration.rollback",
        ),
        (
            Phase.AWAITING_COMMIT,
            {"commit_time": TIME},
            "finish: awaiting commit, until 2026-09-21 14:13:20 UTC,"
            " waiting for warmMigration.commit or warmMigration.rollback",
        ),
        (Phase.CANCELLED, {"paused": True}, "finish: cancelled"),
    ],
)
def test_a_task_tells_what_it_waits_for(
    report: Callable[..., Any], phase: Phase, changes: dict[str, Any], description: str
) -> None:
    """With the methods that end the waiting, and without what a pool said: every user sees tasks."""
    task = tasks.of_report(report(phase=phase, stage=STAGES[phase], **changes))
    assert task.name_description == description


async def test_a_user_who_may_less_is_told_less(hub: Hub, fake_engine: Any) -> None:
    """Reports are for administrators; who was deleted is told nothing."""
    demoted, deleted = Listener(Session("a", user_id="d", is_admin=True)), Listener(Session("a", user_id="g"))
    for listener in (demoted, deleted):
        hub.join(listener)
    hub.changed("d", is_admin=False)
    hub.changed("g", is_admin=None)
    await fake_engine.start(REQUEST, user="u")
    assert await demoted.items()
    for listener in (demoted, deleted):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await listener.outbox.next()
