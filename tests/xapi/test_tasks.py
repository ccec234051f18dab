"""Tasks: awaited, parsed leniently, cleared away."""

from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.xapi import failures, tasks


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<value>OpaqueRef:1</value>", "OpaqueRef:1"),
        ("<value><string>text</string></value>", "text"),
        ("OpaqueRef:1", "OpaqueRef:1"),
        ("<value></value>", ""),
        ("", ""),
        ("<value>a &amp; b</value>", "a & b"),
        ("<broken", "<broken"),
    ],
)
def test_results_are_read_in_every_release_s_form(text: str, value: str) -> None:
    """An XML-RPC fragment, a bare reference, or nothing at all."""
    assert tasks.parse_result(text) == value


async def test_a_call_gives_its_result_and_clears_its_task_away(pool: Any) -> None:
    """Pools keep finished tasks for an hour otherwise."""
    pool.handlers["VM.start"] = lambda *_: "OpaqueRef:result"
    assert await tasks.run(pool, "VM.start", "OpaqueRef:vm") == "OpaqueRef:result"
    assert pool.records["task"] == {}


async def test_a_failed_task_raises_what_the_pool_said(pool: Any) -> None:
    """Code and parameters as from a direct call."""

    def refuse(*_: Any) -> None:
        raise pool.failure("NO_HOSTS_AVAILABLE")

    pool.handlers["VM.start"] = refuse
    with pytest.raises(PoolError) as caught:
        await tasks.run(pool, "VM.start", "OpaqueRef:vm")
    assert caught.value.code == "NO_HOSTS_AVAILABLE"
    assert caught.value.evidence["call"] == "VM.start"


async def test_a_pending_task_is_looked_at_until_it_ends(pool: Any) -> None:
    """Cancelling counts as pending."""
    task = pool.add("task", status="pending", result="", error_info=[])
    looks = iter(["pending", "cancelling", "success"])

    def record(ref: str) -> dict[str, Any]:
        return {**pool.get("task", ref), "status": next(looks)}

    pool.handlers["task.get_record"] = record
    assert (await tasks.ended(pool, task, what="x", first_wait_seconds=0.001))["status"] == "success"


async def test_a_task_that_vanished_is_told_from_one_that_failed(pool: Any) -> None:
    """After a restart of the toolstack nobody knows how the call ended."""
    with pytest.raises(PoolError) as caught:
        await tasks.result_of(pool, "OpaqueRef:gone", what="VM.start")
    assert caught.value.code == failures.TASK_LOST
