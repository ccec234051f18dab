"""A VM's blocked operations: ours set and taken away, everybody else's put back as they stood (R1)."""

from collections.abc import Mapping

from xo_warmig.errors import SafetyError
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls


async def read_blocked(calls: Calls, vm: str) -> dict[str, str]:
    """Raises NoSuchObject."""
    return await _blocked(calls, await objects.ref_of(calls, "VM", vm))


async def block(calls: Calls, vm: str, operations: Mapping[str, str]) -> dict[str, str]:
    """Block the operations, and see them blocked; the entries of others that were replaced."""
    ref = await objects.ref_of(calls, "VM", vm)
    before = await _blocked(calls, ref)
    if any(before.get(operation) != text for operation, text in operations.items()):
        await calls.call("VM.set_blocked_operations", ref, {**before, **operations})
        now = await _blocked(calls, ref)
        missing = sorted(operation for operation, text in operations.items() if now.get(operation) != text)
        if missing:
            raise SafetyError(
                f"the VM {vm} could not be blocked against {', '.join(missing)}",
                code="NOT_BLOCKED",
                evidence={"rule": "R1", "vm": vm, "missing": missing, "blocked_operations": now},
                remedy="see who else changes the blocked operations of this VM",
            )
    return {
        operation: before[operation]
        for operation, text in operations.items()
        if operation in before and before[operation] != text
    }


async def unblock(calls: Calls, vm: str, ours: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Take our entries away where the text is still ours, and put back what stood there before."""
    ref = await objects.ref_of(calls, "VM", vm)
    now = await _blocked(calls, ref)
    wanted = after_unblocking(now, ours, before)
    if wanted != now:
        await calls.call("VM.set_blocked_operations", ref, wanted)


def after_unblocking(now: Mapping[str, str], ours: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """What the blocked operations become: an entry that somebody changed since stays theirs."""
    still_ours = {operation for operation, text in ours.items() if now.get(operation) == text}
    kept = {operation: text for operation, text in now.items() if operation not in still_ours}
    return {**kept, **{operation: before[operation] for operation in still_ours if operation in before}}


async def _blocked(calls: Calls, ref: str) -> dict[str, str]:
    return dict(await calls.call("VM.get_blocked_operations", ref))
