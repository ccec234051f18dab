"""Calls that turn VMs on and off: start, shut down, reboot, pause. What that does to devices and records is in ``boot``."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import boot, disks, licence, lifecycle, placement, reach
from xo_warmig.simulator.calls.operations import Hold, doing, marked
from xo_warmig.simulator.calls.vm_identity import assert_bootable
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

_CANCELLED_BY_FORCE = frozenset(
    {"clean_shutdown", "clean_reboot", "hard_reboot", "pool_migrate", "shutdown", "suspend"}
)


def start(call: "Call", vm: str, start_paused: bool, force: bool) -> None:
    """On a host of XAPI's choice."""
    _start(call, vm, None, "start", paused=start_paused)


def start_on(call: "Call", vm: str, host: str, start_paused: bool, force: bool) -> None:
    call.pool.db.row("host", host)
    _start(call, vm, host, "start_on", paused=start_paused)


def _start(call: "Call", vm: str, host: str | None, op: str, *, paused: bool) -> None:
    pool, db = call.pool, call.pool.db
    licence.assert_enabled(pool, "VM_start")
    with doing(call, Hold("VM", vm, op), *boot.device_holds(db, vm)):
        assert_bootable(pool, db.row("VM", vm))
        with db.lock:
            place = placement.choose_host(db, vm) if host is None else host
            placement.assert_can_boot(db, vm, place)
            reach.assert_reached(pool, place)
            db.set("VM", vm, scheduled_to_be_resident_on=place)
        db.set("VM", vm, ha_always_run=db.row("VM", vm)["ha_restart_priority"] == "restart")
        boot.start(pool, vm, place, paused=paused)


def clean_shutdown(call: "Call", vm: str) -> None:
    """Ask the guest to shut down, and wait until it has."""
    with doing(call, Hold("VM", vm, "clean_shutdown")):
        call.pool.db.set("VM", vm, ha_always_run=False)
        _ask_to_end(call, vm)
        call.pool.delays.wait("shutdown")
        boot.halt(call.pool, vm)


def hard_shutdown(call: "Call", vm: str) -> None:
    """Cut the power, whatever else is going on; a suspended VM loses what it had in memory."""
    with doing(call, Hold("VM", vm, "hard_shutdown")):
        call.pool.db.set("VM", vm, ha_always_run=False)
        _cancel_others(call, vm)
        power_off(call, vm)


def power_off(call: "Call", vm: str) -> None:
    """Cut the power of a live or suspended VM that is marked already."""
    pool, db = call.pool, call.pool.db
    suspended = db.row("VM", vm)["suspend_VDI"] if db.row("VM", vm)["power_state"] == lifecycle.SUSPENDED else NULL
    pool.guests.kill(vm)
    pool.delays.wait("shutdown")
    boot.halt(pool, vm)
    if db.exists("VDI", suspended):
        disks.destroy(call, suspended)


def shutdown(call: "Call", vm: str) -> None:
    """Cleanly, and by force when the guest does not."""
    db = call.pool.db
    state = db.row("VM", vm)["power_state"]
    if state not in lifecycle.POWER_STATES["shutdown"]:
        raise lifecycle.bad_power_state(vm, lifecycle.POWER_STATES["shutdown"], state)
    if state == lifecycle.RUNNING:
        try:
            return clean_shutdown(call, vm)
        except XapiFailure as failure:
            if failure.code in ("OPERATION_BLOCKED", "HANDLE_INVALID", "TASK_CANCELLED"):
                raise
    if db.row("VM", vm)["power_state"] != lifecycle.HALTED:
        hard_shutdown(call, vm)
    return None


def clean_reboot(call: "Call", vm: str) -> None:
    with doing(call, Hold("VM", vm, "clean_reboot")):
        _ask_to_end(call, vm)
        _start_again(call.pool, call.task, vm)


def hard_reboot(call: "Call", vm: str) -> None:
    with doing(call, Hold("VM", vm, "hard_reboot")):
        _cancel_others(call, vm)
        call.pool.guests.kill(vm)
        _start_again(call.pool, call.task, vm)


def pause(call: "Call", vm: str) -> None:
    with doing(call, Hold("VM", vm, "pause")):
        call.pool.guests.pause(vm)
        boot.set_power_state(call.pool.db, vm, lifecycle.PAUSED)


def unpause(call: "Call", vm: str) -> None:
    with doing(call, Hold("VM", vm, "unpause")):
        boot.set_power_state(call.pool.db, vm, lifecycle.RUNNING)
        call.pool.guests.unpause(vm)


def power_state_reset(call: "Call", vm: str) -> None:
    """Say that a VM is halted. The host of a live one would know better, so only the record of a dead one is reset."""
    db = call.pool.db
    with doing(call, Hold("VM", vm, "power_state_reset")):
        row = db.row("VM", vm)
        if row["is_control_domain"]:
            raise XapiFailure("CANNOT_RESET_CONTROL_DOMAIN", vm)
        live, host = row["power_state"] in (lifecycle.RUNNING, lifecycle.PAUSED), row["resident_on"]
        if live and host == call.pool.master:
            raise XapiFailure("DOMAIN_EXISTS", vm)
        if live and host not in call.pool.down:
            raise XapiFailure("HOST_IS_LIVE", host)
        boot.halt(call.pool, vm)


def guest_halted(pool: "SimPool", vm: str) -> None:
    """A guest has shut itself down, as ``actions_after_shutdown`` says what follows. Nothing when the VM is not live any more."""
    db = pool.db
    with db.lock:
        if not db.exists("VM", vm) or db.row("VM", vm)["power_state"] != lifecycle.RUNNING:
            return
        again = db.row("VM", vm)["actions_after_shutdown"] == "restart"
        if not again:
            boot.halt(pool, vm)
    if again:
        task = f"OpaqueRef:{db.new_uuid()}"
        with marked(pool, task, Hold("VM", vm, "hard_reboot")):
            pool.guests.kill(vm)
            _start_again(pool, task, vm)


def _ask_to_end(call: "Call", vm: str) -> None:
    """The guest ends by itself. TASK_CANCELLED when somebody cut its power meanwhile."""
    db = call.pool.db
    domid = db.row("VM", vm)["domid"]
    acknowledged = call.pool.guests.stop(vm)
    reach.assert_carried_out(call.pool, "VM", vm, "clean_shutdown")
    row = db.row("VM", vm)
    if row["power_state"] != lifecycle.RUNNING or row["domid"] != domid:
        raise XapiFailure("TASK_CANCELLED", call.task)
    if not acknowledged:
        raise XapiFailure("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)


def _cancel_others(call: "Call", vm: str) -> None:
    """What else is under way with the VM is told to stop."""
    for task, op in call.pool.db.field("VM", vm, "current_operations").items():
        if op in _CANCELLED_BY_FORCE and task != call.task and call.pool.db.exists("task", task):
            call.pool.tasks.cancel(task)


def _start_again(pool: "SimPool", task: str, vm: str) -> None:
    """From the beginning on the same host; the VM is marked already, its guest has ended."""
    db = pool.db
    host = db.row("VM", vm)["resident_on"]
    with db.lock:
        boot.unplug_devices(db, vm)
    with marked(pool, task, *boot.device_holds(db, vm)):
        boot.start(pool, vm, host)


CALLS = {
    "VM.start": start,
    "VM.start_on": start_on,
    "VM.clean_shutdown": clean_shutdown,
    "VM.hard_shutdown": hard_shutdown,
    "VM.shutdown": shutdown,
    "VM.clean_reboot": clean_reboot,
    "VM.hard_reboot": hard_reboot,
    "VM.pause": pause,
    "VM.unpause": unpause,
    "VM.power_state_reset": power_state_reset,
}
