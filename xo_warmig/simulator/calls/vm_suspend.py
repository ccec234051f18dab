"""Suspending a VM to a disk and resuming it."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import boot, disks, lifecycle, placement
from xo_warmig.simulator.calls.operations import Hold, doing
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call


def suspend(call: "Call", vm: str) -> None:
    """Memory goes to a VDI of the suspend SR; disks are let go of, though their VBDs stay attached in name."""
    pool, db = call.pool, call.pool.db
    with doing(call, Hold("VM", vm, "suspend")):
        image = suspend_image(call, vm)
        host = db.row("VM", vm)["resident_on"]
        pool.guests.pause(vm)
        pool.guests.kill(vm)
        with db.lock:
            db.set("VM", vm, suspend_VDI=image, domid=-1, resident_on=NULL)
            boot.set_power_state(db, vm, lifecycle.SUSPENDED)
            placement.note_free_memory(db, host)


def resume(call: "Call", vm: str, start_paused: bool, force: bool) -> None:
    _resume(call, vm, None, "resume", paused=start_paused)


def resume_on(call: "Call", vm: str, host: str, start_paused: bool, force: bool) -> None:
    call.pool.db.row("host", host)
    _resume(call, vm, host, "resume_on", paused=start_paused)


def suspend_image(call: "Call", vm: str) -> str:
    """A disk that can hold the VM's memory. VM_NO_SUSPEND_SR when there is no place for it."""
    db = call.pool.db
    row = db.row("VM", vm)
    size = row["memory_static_max"] + row["memory_overhead"]
    fields = {"name_label": "Suspend image", "name_description": "Suspend image", "type": "suspend"}
    return disks.create(call, _suspend_sr(call, vm), size, **fields)


def _suspend_sr(call: "Call", vm: str) -> str:
    db = call.pool.db
    host = db.row("VM", vm)["resident_on"]
    wanted = [db.row("VM", vm)["suspend_SR"], db.row("pool", call.pool.pool_ref)["suspend_image_SR"]]
    wanted += [db.row("host", host)["suspend_image_sr"]] if db.exists("host", host) else []
    for sr in wanted:
        if db.exists("SR", sr):
            return str(sr)
    raise XapiFailure("VM_NO_SUSPEND_SR", vm)


def _resume(call: "Call", vm: str, host: str | None, op: str, *, paused: bool) -> None:
    db = call.pool.db
    with doing(call, Hold("VM", vm, op)):
        image = db.row("VM", vm)["suspend_VDI"]
        if not db.exists("VDI", image):
            raise XapiFailure("VM_HAS_NO_SUSPEND_VDI", vm)
        place = placement.choose_host(db, vm) if host is None else host
        placement.assert_can_boot(db, vm, place)
        _reattach(call, db, vm, place, paused=paused)
        db.set("VM", vm, suspend_VDI=NULL)
        disks.destroy(call, image)


def _reattach(call: "Call", db: "Database", vm: str, place: str, *, paused: bool) -> None:
    """Take the disks up again, if nobody else has them by now."""
    plugged = [vbd for vbd in db.row("VM", vm)["VBDs"] if db.row("VBD", vbd)["currently_attached"]]
    with db.lock:
        for vbd in plugged:
            db.set("VBD", vbd, currently_attached=False)
    try:
        with doing(call, *boot.device_holds(db, vm)):
            boot.start(call.pool, vm, place, paused=paused, resumed=True)
    except BaseException:
        if db.row("VM", vm)["power_state"] == lifecycle.SUSPENDED:
            for vbd in plugged:
                db.set("VBD", vbd, currently_attached=True)
        raise


CALLS = {"VM.suspend": suspend, "VM.resume": resume, "VM.resume_on": resume_on}
