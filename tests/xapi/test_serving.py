"""Whether the host that a transfer runs on is still the one that was asked."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.xapi.failures import TASK_LOST
from xo_warmig.xapi.serving import Answers, held_by_dead_hosts_only, see_served, started_at


async def answers(host: dict[str, Any]) -> bool:
    return True


async def silent(host: dict[str, Any]) -> bool:
    return False


BOOTED = {"boot_time": "1.", "agent_start_time": "2."}


@pytest.fixture
def host(pool: Any) -> str:
    metrics = pool.add("host_metrics", live=True)
    return str(pool.add("host", name_label="member", metrics=metrics, other_config=dict(BOOTED)))


@pytest.fixture
def disk(
    pool: Any, host: str, make_vm: Callable[..., str], make_vdi: Callable[..., str], make_vbd: Callable[..., str]
) -> str:
    """Attached to the host's control domain."""
    vdi = make_vdi()
    make_vbd(make_vm(is_control_domain=True, resident_on=host), vdi, currently_attached=True)
    return vdi


@pytest.fixture
def start(pool: Any, host: str) -> str:
    return started_at(pool.get("host", host))


async def test_a_host_that_is_as_it_was_serves_on(pool: Any, host: str, start: str) -> None:
    """So its task is waited for."""
    await see_served(pool, host, start, answers)


@pytest.mark.parametrize("key", list(BOOTED))
async def test_one_that_was_started_again_has_forgotten(pool: Any, host: str, start: str, key: str) -> None:
    """The host, or its toolstack alone, whether its control domain still has the disk or not."""
    pool.get("host", host)["other_config"][key] = "3."
    with pytest.raises(PoolError) as error:
        await see_served(pool, host, start, answers)
    assert error.value.code == TASK_LOST


async def test_one_that_left_its_pool_has_forgotten_too(pool: Any, host: str, start: str) -> None:
    """Nobody will ever end its task."""
    del pool.records["host"][host]
    with pytest.raises(PoolError) as error:
        await see_served(pool, host, start, answers)
    assert error.value.code == TASK_LOST


async def test_one_that_is_down_may_come_back(pool: Any, host: str, start: str) -> None:
    """Until then nobody knows, and the copy waits as for a pool that is away."""
    pool.get("host_metrics", pool.get("host", host)["metrics"])["live"] = False
    with pytest.raises(PoolUnreachable):
        await see_served(pool, host, start, answers)


async def test_one_that_does_not_answer_is_down_before_its_pool_says_so(pool: Any, host: str, start: str) -> None:
    """Which takes ten minutes."""
    with pytest.raises(PoolUnreachable):
        await see_served(pool, host, start, silent)


@pytest.mark.parametrize(
    ("live", "answering", "dead"), [(True, answers, False), (True, silent, True), (False, answers, True)]
)
async def test_the_dead_hold_a_disk_until_they_are_back(
    pool: Any, host: str, disk: str, live: bool, answering: Answers, dead: bool
) -> None:
    """Nobody can have them let go of it, and they read nothing."""
    pool.get("host_metrics", pool.get("host", host)["metrics"])["live"] = live
    assert await held_by_dead_hosts_only(pool, [disk], answering) is dead


async def test_one_that_lives_is_enough_to_wait_for(
    pool: Any, host: str, disk: str, make_vm: Callable[..., str], make_vbd: Callable[..., str]
) -> None:
    """Beside the dead."""
    pool.get("host_metrics", pool.get("host", host)["metrics"])["live"] = False
    other = pool.add("host", name_label="other", metrics=pool.add("host_metrics", live=True), other_config={})
    make_vbd(make_vm(is_control_domain=True, resident_on=other), disk, currently_attached=True)
    assert not await held_by_dead_hosts_only(pool, [disk], answers)
