"""Starting and stopping VMs, and seeing that it came true."""

import asyncio
import contextlib
import logging
import time

from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.model.vm import PowerState
from xo_warmig.xapi import failures, objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.reading import read_power_state
from xo_warmig.xapi.records import guest_metrics_ref, has_tools

_LONGEST_WAIT_SECONDS = 0.1  # these waits are inside the downtime
_RELEASE_SECONDS = 15.0
_HALTED_SECONDS = 30.0
_CANCEL_SECONDS = 10.0

# XAPI will not even ask the guest.
_NO_SHUTDOWN_FEATURE = frozenset(
    {"VM_LACKS_FEATURE", "VM_LACKS_FEATURE_SHUTDOWN", "VM_MISSING_PV_DRIVERS", "VM_OLD_PV_DRIVERS"}
)
_GOING_DOWN = frozenset({"clean_shutdown", "hard_shutdown", "shutdown"})
_NOT_ACKNOWLEDGED = "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT"
_TOOK_TOO_LONG = frozenset({"VM_SHUTDOWN_TIMEOUT", "SHUTDOWN_TIMEOUT", "TASK_CANCELLED"})

log = logging.getLogger(__name__)


async def assert_startable(calls: Calls, vm: str) -> None:
    """See that one of the enabled hosts could start the VM now: memory, storage, networks; blocked operations do not count.

    Raises:
        PoolError: NO_HOSTS_AVAILABLE, with the reason of each host.
    """
    ref = await objects.ref_of(calls, "VM", vm)
    reasons: dict[str, str] = {}
    for host, record in (await calls.call("host.get_all_records")).items():
        if not record["enabled"]:
            reasons[record["name_label"]] = "HOST_DISABLED"
            continue
        try:
            await calls.call("VM.assert_can_boot_here", ref, host)
        except PoolUnreachable:
            raise
        except PoolError as error:
            reasons[record["name_label"]] = " ".join([error.code, *failures.parameters_of(error)])
        else:
            return
    raise failures.no_host(vm, reasons, pool=getattr(calls, "pool_name", ""))


async def start_vm(calls: Calls, vm: str) -> None:
    """Start it and see it running.

    A disk that was filled a moment ago may still be in the hands of its control domain: that is waited for, briefly.
    """
    ref = await objects.ref_of(calls, "VM", vm)
    started = time.monotonic()
    wait_seconds = 0.1
    while True:
        try:
            await tasks.run(calls, "VM.start", ref, False, False, longest_wait_seconds=_LONGEST_WAIT_SECONDS)
        except PoolError as error:
            if error.code == failures.TASK_LOST and await read_power_state(calls, vm) is PowerState.RUNNING:
                return
            if not is_disk_still_held(error) or time.monotonic() - started > _RELEASE_SECONDS:
                raise
            log.info("%s is not started yet, its disks are still held: %s", vm, error)
        else:
            return
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(wait_seconds * 2, 2.0)


def is_disk_still_held(error: PoolError) -> bool:
    """Whether a start failed only because a control domain has not let go of a disk yet."""
    text = " ".join(failures.parameters_of(error))
    return (
        error.code in ("VDI_IN_USE", "SR_BACKEND_FAILURE_24")
        or (error.code == "SR_BACKEND_FAILURE_46" and "not detached cleanly" in text)
        or "Illegal_transition" in text
    )


async def shut_down(calls: Calls, vm: str, policy: ShutdownPolicy) -> bool:
    """Stop the VM by the policy, and see it Halted; True when it went down cleanly.

    A VM that is Halted already was not seen to go down cleanly. The guest is always asked first; power is cut only by R7: a guest
    without tools where the policy is ``ifNoTools``, or any when it is ``always``.

    Raises:
        PoolError: VM_BAD_POWER_STATE (suspended or paused), SHUTDOWN_REFUSED, SHUTDOWN_TIMEOUT; TASK_LOST when the toolstack was
            restarted and the VM does not go down, so that it has to be asked again.
    """
    ref, record = await objects.record_of(calls, "VM", vm)
    if record["power_state"] == PowerState.HALTED:
        return False
    if record["power_state"] != PowerState.RUNNING:
        raise _bad_power_state(vm, record["power_state"])
    try:
        await _clean_shutdown(calls, ref, policy.timeout)
    except PoolUnreachable:
        raise
    except PoolError as error:
        return await _after_failed_request(calls, vm, ref, record, policy, error)
    await _see_halted(calls, vm, ref, _HALTED_SECONDS)
    return True


async def _after_failed_request(
    calls: Calls, vm: str, ref: str, record: dict[str, object], policy: ShutdownPolicy, error: PoolError
) -> bool:
    """Go on by the policy; False, as whatever halts the VM now was not our request."""
    if error.code == failures.TASK_LOST:
        await _see_going_down(calls, vm, ref, policy.timeout, error)
        return False
    if await _is_halted(calls, ref):
        return False
    if not await _may_cut_power(calls, record, policy, error):
        raise _refusal(vm, error, policy) from error
    log.warning("%s is powered off: %s", vm, error)
    await tasks.run(calls, "VM.hard_shutdown", ref, longest_wait_seconds=_LONGEST_WAIT_SECONDS)
    await _see_halted(calls, vm, ref, _HALTED_SECONDS)
    return False


async def _see_going_down(calls: Calls, vm: str, ref: str, most_seconds: float, error: PoolError) -> None:
    """After the request was forgotten: wait while the VM has an operation of a shutdown. Raises ``error`` when it runs on without."""
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        record = await calls.call("VM.get_record", ref)
        if record["power_state"] == PowerState.HALTED:
            return
        if _GOING_DOWN.isdisjoint(record["current_operations"].values()):
            raise error
        await asyncio.sleep(_LONGEST_WAIT_SECONDS)
    raise _not_seen_halted(vm)


async def _clean_shutdown(calls: Calls, ref: str, timeout_seconds: float) -> None:
    """Ask the guest; the request is cancelled when the time is over or nobody waits any more."""
    task = await calls.call("Async.VM.clean_shutdown", ref)
    waiting = tasks.result_of(calls, task, what="VM.clean_shutdown", longest_wait_seconds=_LONGEST_WAIT_SECONDS)
    try:
        await asyncio.wait_for(waiting, timeout_seconds)
    except TimeoutError as error:
        await _give_up(calls, task)
        raise PoolError(f"the guest did not shut down within {timeout_seconds} s", code="SHUTDOWN_TIMEOUT") from error
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(asyncio.shield(tasks.cancel(calls, task)), _CANCEL_SECONDS)
        raise


async def _give_up(calls: Calls, task: str) -> None:
    """Cancel the request, so that a forced shutdown does not meet it; the guest may halt all the same."""
    await tasks.cancel(calls, task)
    with contextlib.suppress(TimeoutError, PoolError):
        await asyncio.wait_for(tasks.ended(calls, task, what="VM.clean_shutdown"), _CANCEL_SECONDS)
    await tasks.forget(calls, task)


async def _may_cut_power(calls: Calls, record: dict[str, object], policy: ShutdownPolicy, error: PoolError) -> bool:
    if error.code not in _NO_SHUTDOWN_FEATURE | _TOOK_TOO_LONG | {_NOT_ACKNOWLEDGED}:
        return False  # not the guest's doing: something else holds the VM
    match policy.force:
        case ForceShutdown.ALWAYS:
            return True
        case ForceShutdown.NEVER:
            return False
        case ForceShutdown.IF_NO_TOOLS:
            # A guest with tools that does not answer in time is asked about, not powered off.
            return error.code in _NO_SHUTDOWN_FEATURE or (
                error.code == _NOT_ACKNOWLEDGED and not await _saw_tools(calls, record)
            )


async def _saw_tools(calls: Calls, record: dict[str, object]) -> bool:
    ref = guest_metrics_ref(record)
    if ref is None:
        return False
    try:
        return has_tools(await calls.call("VM_guest_metrics.get_record", ref))
    except PoolError as error:
        if error.code == "HANDLE_INVALID":
            return False
        raise


async def _is_halted(calls: Calls, ref: str) -> bool:
    return bool(await calls.call("VM.get_power_state", ref) == PowerState.HALTED)


async def _see_halted(calls: Calls, vm: str, ref: str, most_seconds: float) -> None:
    """The record follows the task at once, mostly."""
    deadline = time.monotonic() + most_seconds
    while not await _is_halted(calls, ref):
        if time.monotonic() > deadline:
            raise _not_seen_halted(vm)
        await asyncio.sleep(0.05)


def _not_seen_halted(vm: str) -> PoolError:
    return PoolError(
        f"the VM {vm} was shut down but is not seen Halted",
        code="SHUTDOWN_TIMEOUT",
        evidence={"vm": vm},
        remedy="look at the VM on its pool; it may still halt later",
    )


def _refusal(vm: str, error: PoolError, policy: ShutdownPolicy) -> PoolError:
    late = error.code in _TOOK_TOO_LONG
    return PoolError(
        f"the VM {vm} did not shut down within {policy.timeout} s"
        if late
        else f"the VM {vm} refused to shut down: {error}",
        code="SHUTDOWN_TIMEOUT" if late else "SHUTDOWN_REFUSED",
        evidence={**error.evidence, "vm": vm, "policy": {"timeout": policy.timeout, "force": str(policy.force)}},
        remedy="shut it down from inside, give it more time, or allow it to be powered off",
    )


def _bad_power_state(vm: str, actual: str) -> PoolError:
    return PoolError(
        f"the VM {vm} is {actual}, so it cannot be shut down",
        code="VM_BAD_POWER_STATE",
        evidence={"objectId": vm, "expected": "Running", "actual": actual},
        remedy="resume the VM, or shut it down by hand",
    )
