"""Blocked operations, and what others had put there."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import SafetyError
from xo_warmig.xapi.blocking import after_unblocking, block, read_blocked, unblock

SET, ADD, REMOVE = (f"VM.{what}_blocked_operations" for what in ("set", "add_to", "remove_from"))
OURS = {"start": "ours", "destroy": "ours"}


async def test_entries_of_others_come_back_when_ours_go(pool: Any, make_vm: Callable[..., str]) -> None:
    """As they stood before (R1)."""
    theirs = {"start": "theirs", "suspend": "theirs"}
    ref = make_vm(blocked_operations=dict(theirs))
    vm = pool.get("VM", ref)["uuid"]
    before = await block(pool, vm, OURS)
    assert before == {"start": "theirs"}
    assert await read_blocked(pool, vm) == {**theirs, **OURS}
    await unblock(pool, vm, OURS, before)
    assert await read_blocked(pool, vm) == theirs


async def test_blocking_twice_forgets_nothing(pool: Any, make_vm: Callable[..., str]) -> None:
    """The second time our own entries are no one else's, and nothing is written."""
    vm = pool.get("VM", make_vm())["uuid"]
    await block(pool, vm, OURS)
    assert await block(pool, vm, OURS) == {}
    assert pool.calls(SET, ADD, REMOVE) == [ADD, ADD]


async def test_an_entry_that_comes_meanwhile_is_not_lost(pool: Any, make_vm: Callable[..., str]) -> None:
    """Somebody blocks something else between our look and our entries, when they are set and when they go."""
    ref = make_vm()
    vm = pool.get("VM", ref)["uuid"]
    others = iter(["suspend", "pool_migrate"])
    call = pool.call

    async def busy(method: str, *arguments: Any) -> Any:
        answer = await call(method, *arguments)
        if method == "VM.get_all_records_where":
            pool.get("VM", ref)["blocked_operations"][next(others)] = "theirs"
        return answer

    pool.call = busy
    before = await block(pool, vm, OURS)
    assert pool.get("VM", ref)["blocked_operations"] == {**OURS, "suspend": "theirs"}
    await unblock(pool, vm, OURS, before)
    assert pool.get("VM", ref)["blocked_operations"] == {"suspend": "theirs", "pool_migrate": "theirs"}


async def test_an_entry_for_the_same_operation_that_comes_meanwhile_is_an_error(
    pool: Any, make_vm: Callable[..., str]
) -> None:
    """It is not overwritten; the next try knows of it, and gives it back later."""
    ref = make_vm()
    vm = pool.get("VM", ref)["uuid"]

    def first(self_ref: str, operation: str, text: str) -> Any:
        pool.get("VM", ref)["blocked_operations"].setdefault("start", "theirs")
        return pool._field("VM", "add_to_blocked_operations", (self_ref, operation, text))

    pool.handlers[ADD] = first
    with pytest.raises(SafetyError) as caught:
        await block(pool, vm, OURS)
    assert caught.value.evidence["missing"] == ["start"]
    assert pool.get("VM", ref)["blocked_operations"] == {"start": "theirs", "destroy": "ours"}
    assert await block(pool, vm, OURS) == {"start": "theirs"}


async def test_a_vm_of_ours_is_unblocked_by_one_call(pool: Any, make_vm: Callable[..., str]) -> None:
    """It is inside the downtime, and nobody else has entries there."""
    ref = make_vm()
    vm = pool.get("VM", ref)["uuid"]
    pool.get("VM", ref)["other_config"] = {"xo_warmig:self": vm}
    await block(pool, vm, OURS)
    await unblock(pool, vm, OURS, {})
    assert await read_blocked(pool, vm) == {}
    assert pool.calls(SET, ADD, REMOVE) == [SET, SET]


def test_an_entry_that_somebody_changed_is_theirs() -> None:
    """Even if another stood there before ours."""
    assert after_unblocking({"start": "changed", "destroy": "ours"}, OURS, {"start": "before"}) == {"start": "changed"}


async def test_a_block_that_does_not_hold_is_an_error(pool: Any, make_vm: Callable[..., str]) -> None:
    """It is read back."""
    vm = pool.get("VM", make_vm())["uuid"]
    pool.handlers[ADD] = lambda *_: ""
    with pytest.raises(SafetyError) as caught:
        await block(pool, vm, OURS)
    assert caught.value.evidence["missing"] == ["destroy", "start"]
