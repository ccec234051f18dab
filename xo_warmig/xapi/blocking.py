"""A VM's blocked operations: ours set and taken away, everybody else's put back as they stood (R1).

Entries are added and removed one by one where that is safe, so that one which somebody else sets meanwhile is not lost. The whole map
is written where it is better in one piece: when an entry of others is replaced or comes back, which a crash in between must not lose;
and on a VM that we made, which has no entries of others, and whose unblocking is inside the downtime.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import PoolError, SafetyError
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls

_DUPLICATE = "MAP_DUPLICATE_KEY"


async def read_blocked(calls: Calls, vm: str) -> dict[str, str]:
    """Raises NoSuchObject."""
    return await _blocked(calls, await objects.ref_of(calls, "VM", vm))


async def block(calls: Calls, vm: str, operations: Mapping[str, str]) -> dict[str, str]:
    """Block the operations, and see them blocked; the entries of others that were replaced."""
    ref, record = await objects.record_of(calls, "VM", vm)
    before = dict(record["blocked_operations"])
    wanted = {operation: text for operation, text in operations.items() if before.get(operation) != text}
    if wanted:
        await make_blocked(calls, ref, record, {**before, **operations})
        now = await _blocked(calls, ref)
        missing = sorted(operation for operation, text in operations.items() if now.get(operation) != text)
        if missing:
            raise SafetyError(
                f"the VM {vm} could not be blocked against {', '.join(missing)}",
                code="NOT_BLOCKED",
                evidence={"rule": "R1", "vm": vm, "missing": missing, "blocked_operations": now},
                remedy="see who else changes the blocked operations of this VM",
            )
    return {operation: before[operation] for operation in wanted if operation in before}


async def unblock(calls: Calls, vm: str, ours: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Take our entries away where the text is still ours, and put back what stood there before."""
    ref, record = await objects.record_of(calls, "VM", vm)
    await make_blocked(calls, ref, record, after_unblocking(record["blocked_operations"], ours, before))


def after_unblocking(now: Mapping[str, str], ours: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """What the blocked operations become: an entry that somebody changed since stays theirs."""
    still_ours = {operation for operation, text in ours.items() if now.get(operation) == text}
    kept = {operation: text for operation, text in now.items() if operation not in still_ours}
    return {**kept, **{operation: before[operation] for operation in still_ours if operation in before}}


async def make_blocked(calls: Calls, ref: str, record: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    """Make the blocked operations of a VM, whose record was just read, what is wanted."""
    now = record["blocked_operations"]
    if now == wanted:
        return
    replaces = any(now[operation] != text for operation, text in wanted.items() if operation in now)
    if replaces or objects.is_ours(record["other_config"], record["uuid"]):
        await calls.call("VM.set_blocked_operations", ref, wanted)
        return
    added = [add(calls, ref, operation, text) for operation, text in wanted.items() if operation not in now]
    removed = [
        calls.call("VM.remove_from_blocked_operations", ref, operation) for operation in now if operation not in wanted
    ]
    for outcome in await asyncio.gather(*added, *removed, return_exceptions=True):  # none may still run afterwards
        if isinstance(outcome, BaseException):
            raise outcome


async def add(calls: Calls, ref: str, operation: str, text: str) -> None:
    """Block one operation, unless somebody else has blocked it already."""
    try:
        await calls.call("VM.add_to_blocked_operations", ref, operation, text)
    except PoolError as error:
        if error.code != _DUPLICATE:  # somebody was first, which is seen when it is read back
            raise


async def _blocked(calls: Calls, ref: str) -> dict[str, str]:
    return dict(await calls.call("VM.get_blocked_operations", ref))
