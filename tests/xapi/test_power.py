"""Stopping by the policy, starting with patience."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.model.requests import ForceShutdown, ShutdownPolicy
from xo_warmig.xapi import power

Vm = tuple[str, str]  # reference, uuid


@pytest.fixture
def vm(pool: Any, make_vm: Callable[..., str]) -> Vm:
    ref = make_vm()

    def halt(*_: Any) -> str:
        pool.get("VM", ref)["power_state"] = "Halted"
        return ""

    pool.handlers |= {"VM.clean_shutdown": halt, "VM.hard_shutdown": halt}
    return ref, pool.get("VM", ref)["uuid"]


def policy(force: ForceShutdown = ForceShutdown.IF_NO_TOOLS, timeout: int = 60) -> ShutdownPolicy:
    return ShutdownPolicy(timeout=timeout, force=force)


def refuse(pool: Any, *details: str) -> None:
    def fail(*_: Any) -> None:
        raise pool.failure(*details)

    pool.handlers["VM.clean_shutdown"] = fail


def never_end(pool: Any) -> str:
    """A shutdown that the guest ignores; the reference of its task."""
    task: str = pool.add("task", status="pending", result="", error_info=[])
    call = pool.call

    async def instead(method: str, *arguments: Any) -> Any:
        if method == "Async.VM.clean_shutdown":
            return task
        return await call(method, *arguments)

    def cancel(ref: str) -> str:
        pool.get("task", ref)["status"] = "cancelled"
        return ""

    pool.call = instead
    pool.handlers["task.cancel"] = cancel
    return task


async def test_a_guest_that_listens_goes_down_cleanly(pool: Any, vm: Vm) -> None:
    """Whatever force is allowed, it is asked first."""
    assert await power.shut_down(pool, vm[1], policy(ForceShutdown.ALWAYS)) is True
    assert pool.calls("VM.hard_shutdown") == []


async def test_a_guest_without_tools_is_powered_off_by_default(pool: Any, vm: Vm) -> None:
    """It cannot shut down any other way (R7)."""
    refuse(pool, "VM_LACKS_FEATURE", vm[0])
    assert await power.shut_down(pool, vm[1], policy()) is False


async def test_a_guest_without_tools_is_left_alone_when_told_so(pool: Any, vm: Vm) -> None:
    """The refusal says what XAPI said."""
    refuse(pool, "VM_LACKS_FEATURE", vm[0])
    with pytest.raises(PoolError) as caught:
        await power.shut_down(pool, vm[1], policy(ForceShutdown.NEVER))
    assert caught.value.code == "SHUTDOWN_REFUSED"
    assert "VM_LACKS_FEATURE" in str(caught.value)
    assert pool.get("VM", vm[0])["power_state"] == "Running"


async def test_a_guest_with_tools_that_does_not_answer_is_not_powered_off(pool: Any, vm: Vm) -> None:
    """It could shut down cleanly (R7)."""
    pool.get("VM", vm[0])["guest_metrics"] = pool.add("VM_guest_metrics", PV_drivers_detected=True)
    refuse(pool, "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm[0])
    with pytest.raises(PoolError) as caught:
        await power.shut_down(pool, vm[1], policy())
    assert caught.value.code == "SHUTDOWN_REFUSED"


async def test_another_operation_on_the_vm_is_no_reason_for_force(pool: Any, vm: Vm) -> None:
    """Even where force is always allowed: a hard shutdown would break that operation."""
    refuse(pool, "OTHER_OPERATION_IN_PROGRESS", "VM", vm[0], "pool_migrate", "OpaqueRef:t")
    with pytest.raises(PoolError) as caught:
        await power.shut_down(pool, vm[1], policy(ForceShutdown.ALWAYS))
    assert caught.value.code == "SHUTDOWN_REFUSED"
    assert pool.calls("VM.hard_shutdown") == []


async def test_the_request_is_cancelled_when_the_time_is_over(pool: Any, vm: Vm) -> None:
    """The guest may still halt later, so the caller is told the code to watch for."""
    task = never_end(pool)
    with pytest.raises(PoolError) as caught:
        await power._after_failed_request(
            pool, vm[1], vm[0], pool.get("VM", vm[0]), policy(), await _timed_out(pool, vm[0])
        )
    assert caught.value.code == "SHUTDOWN_TIMEOUT"
    assert "task.cancel" in pool.log
    assert task not in pool.records["task"]


async def test_force_always_cuts_power_after_the_time(pool: Any, vm: Vm) -> None:
    """After the request was cancelled."""
    never_end(pool)
    error = await _timed_out(pool, vm[0])
    record = pool.get("VM", vm[0])
    assert await power._after_failed_request(pool, vm[1], vm[0], record, policy(ForceShutdown.ALWAYS), error) is False
    assert pool.log.index("task.cancel") < pool.log.index("Async.VM.hard_shutdown")


async def test_nobody_waiting_cancels_the_request(pool: Any, vm: Vm) -> None:
    """A cancelled migration must not stop the VM a minute later."""
    never_end(pool)
    waiting = asyncio.ensure_future(power.shut_down(pool, vm[1], policy()))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert "task.cancel" in pool.log


@pytest.mark.parametrize("halts", [True, False])
async def test_a_request_that_the_pool_forgot_is_waited_for_only_while_the_vm_goes_down(
    pool: Any, vm: Vm, halts: bool
) -> None:
    """A restarted toolstack knows nothing of it: a VM that runs on is asked again, by whoever tries again what was lost."""
    task = never_end(pool)
    record = pool.get("VM", vm[0])
    record["current_operations"] = {"OpaqueRef:t": "clean_shutdown"}
    waiting = asyncio.ensure_future(power.shut_down(pool, vm[1], policy()))
    await asyncio.sleep(0.05)
    del pool.records["task"][task]
    await asyncio.sleep(0.3)
    assert not waiting.done()
    record["power_state"] = "Halted" if halts else "Running"
    record["current_operations"] = {}
    if halts:
        assert await waiting is False
    else:
        with pytest.raises(PoolError) as caught:
            await waiting
        assert caught.value.code == "TASK_LOST"


async def test_a_halted_vm_was_not_seen_to_go_down(pool: Any, vm: Vm) -> None:
    """Nothing is asked of it."""
    pool.get("VM", vm[0])["power_state"] = "Halted"
    assert await power.shut_down(pool, vm[1], policy()) is False
    assert pool.calls("VM.clean_shutdown") == []


async def test_a_suspended_vm_is_refused(pool: Any, vm: Vm) -> None:
    """Its memory would be lost."""
    pool.get("VM", vm[0])["power_state"] = "Suspended"
    with pytest.raises(PoolError) as caught:
        await power.shut_down(pool, vm[1], policy())
    assert caught.value.code == "VM_BAD_POWER_STATE"
    assert caught.value.evidence["actual"] == "Suspended"


async def test_a_start_waits_for_disks_that_are_about_to_be_free(pool: Any, vm: Vm) -> None:
    """The control domain lets go a moment after the transfer's end."""
    tries = iter([("VDI_IN_USE", "OpaqueRef:d"), ("INTERNAL_ERROR", "Illegal_transition(Activated RO, Activated RW)")])

    def start(*_: Any) -> str:
        for details in tries:
            raise pool.failure(*details)
        return ""

    pool.handlers["VM.start"] = start
    await power.start_vm(pool, vm[1])
    assert len(pool.calls("VM.start")) == 3


async def test_any_other_refusal_of_a_start_is_final(pool: Any, vm: Vm) -> None:
    """It is not tried again."""

    def start(*_: Any) -> None:
        raise pool.failure("NO_HOSTS_AVAILABLE")

    pool.handlers["VM.start"] = start
    with pytest.raises(PoolError) as caught:
        await power.start_vm(pool, vm[1])
    assert caught.value.code == "NO_HOSTS_AVAILABLE"
    assert len(pool.calls("VM.start")) == 1


async def _timed_out(pool: Any, ref: str) -> PoolError:
    with pytest.raises(PoolError) as caught:
        await power._clean_shutdown(pool, ref, 0.05)
    return caught.value


async def test_a_vm_is_startable_when_one_host_would_take_it(pool: Any, vm: Vm) -> None:
    """Hosts that would not are passed over, disabled ones are not asked."""
    hosts = [pool.add("host", name_label=f"host-{n}", enabled=n > 0) for n in range(3)]
    asked = []

    def check(_: str, host: str) -> None:
        asked.append(host)
        if host != hosts[2]:
            raise pool.failure("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1")

    pool.handlers["VM.assert_can_boot_here"] = check
    await power.assert_startable(pool, vm[1])
    assert asked == hosts[1:]


async def test_a_vm_that_no_host_would_take_is_told_with_all_reasons(pool: Any, vm: Vm) -> None:
    """By the names of the hosts."""
    pool.add("host", name_label="full", enabled=True)
    pool.add("host", name_label="off", enabled=False)

    def check(*_: str) -> None:
        raise pool.failure("HOST_NOT_ENOUGH_FREE_MEMORY", "2", "1")

    pool.handlers["VM.assert_can_boot_here"] = check
    with pytest.raises(PoolError) as error:
        await power.assert_startable(pool, vm[1])
    assert error.value.code == "NO_HOSTS_AVAILABLE"
    assert error.value.evidence["hosts"] == {"full": "HOST_NOT_ENOUGH_FREE_MEMORY 2 1", "off": "HOST_DISABLED"}
