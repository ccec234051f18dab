"""Blocked operations, and what others had put there."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import SafetyError
from xo_warmig.xapi.blocking import after_unblocking, block, read_blocked, unblock

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
    assert pool.calls("VM.set_blocked_operations") == ["VM.set_blocked_operations"]


def test_an_entry_that_somebody_changed_is_theirs() -> None:
    """Even if another stood there before ours."""
    assert after_unblocking({"start": "changed", "destroy": "ours"}, OURS, {"start": "before"}) == {"start": "changed"}


async def test_a_block_that_does_not_hold_is_an_error(pool: Any, make_vm: Callable[..., str]) -> None:
    """It is read back."""
    vm = pool.get("VM", make_vm())["uuid"]
    pool.handlers["VM.set_blocked_operations"] = lambda *_: ""
    with pytest.raises(SafetyError) as caught:
        await block(pool, vm, OURS)
    assert caught.value.evidence["missing"] == ["destroy", "start"]
