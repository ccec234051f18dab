"""A VM becoming live and ceasing to be: its devices, its records and its guest. Who may ask for it is decided by the calls."""

from typing import TYPE_CHECKING, Any

from xo_warmig.errors import WarmigError
from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import guest_tools, lifecycle
from xo_warmig.simulator.calls.bios import generic
from xo_warmig.simulator.calls.cpu import boot_flags
from xo_warmig.simulator.calls.operations import Hold, refresh, refresh_around
from xo_warmig.simulator.calls.placement import note_free_memory, overhead_bytes
from xo_warmig.simulator.calls.secure_boot import settled
from xo_warmig.simulator.calls.vm_identity import device_model, fresh_generation_id
from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool


def device_holds(db: "Database", vm: str) -> list[Hold]:
    """What to mark while a VM starts: its VBDs and VIFs are being attached."""
    row = db.row("VM", vm)
    vbds = [Hold("VBD", vbd, "attach") for vbd in row["VBDs"] if db.exists("VBD", vbd)]
    return vbds + [Hold("VIF", vif, "attach") for vif in row["VIFs"] if db.exists("VIF", vif)]


def start(pool: "SimPool", vm: str, host: str, *, paused: bool = False, resumed: bool = False) -> None:
    """Make a VM live on a host. Its devices must be marked as being attached. What fails leaves it as it was."""
    db = pool.db
    db.set("VM", vm, scheduled_to_be_resident_on=host)
    try:
        for vbd in _with_disk(db, vm):
            attach.claim_on(db, db.row("VBD", vbd)["VDI"], host, db.row("VBD", vbd)["mode"], ignoring=vbd)
        pool.delays.wait("start")
        with db.lock:
            if not resumed:
                guest_tools.clear(db, vm)
            _make_live(pool, vm, host, paused=paused, resumed=resumed)
            _plug_devices(db, vm)
        _start_guest(pool, vm, paused=paused)
    finally:
        db.set("VM", vm, scheduled_to_be_resident_on=NULL)
    note_free_memory(db, host)
    guest_tools.expect(pool, vm)


def halt(pool: "SimPool", vm: str) -> None:
    """The VM is not live any more: devices are detached, the host is free of it. Its guest must have ended."""
    db = pool.db
    with db.lock:
        if not db.exists("VM", vm):
            return
        host = db.row("VM", vm)["resident_on"]
        unplug_devices(db, vm)
        fields = {"power_state": lifecycle.HALTED, "domid": -1, "resident_on": NULL, "suspend_VDI": NULL}
        db.set("VM", vm, requires_reboot=False, **fields)
        _note_state(db, vm)
        refresh_around(db, "VM", vm)
        note_free_memory(db, host)


def unplug_devices(db: "Database", vm: str) -> None:
    """Every VBD and VIF is detached."""
    row = db.row("VM", vm)
    for vbd in row["VBDs"]:
        attach.plug_out(db, vbd)
    for vif in row["VIFs"]:
        db.set("VIF", vif, currently_attached=False)


def set_power_state(db: "Database", vm: str, state: str) -> None:
    """Another power state, with the lists that depend on it."""
    with db.lock:
        db.set("VM", vm, power_state=state)
        _note_state(db, vm)
        for vbd in db.row("VM", vm)["VBDs"]:
            attach.note_hosts(db, db.row("VBD", vbd)["VDI"])
        refresh_around(db, "VM", vm)


def _make_live(pool: "SimPool", vm: str, host: str, *, paused: bool, resumed: bool) -> None:
    db = pool.db
    row = db.row("VM", vm)
    state = lifecycle.PAUSED if paused else lifecycle.RUNNING
    fields = {"power_state": state, "domid": next_domid(db, host), "resident_on": host, "requires_reboot": False}
    if not resumed:
        fields |= {
            "last_boot_CPU_flags": boot_flags(row, db.row("host", host)["cpu_info"]),
            "bios_strings": row["bios_strings"] or generic(pool.release),
            "platform": row["platform"] | device_model(row, pool.release) | settled(pool, row),
            "generation_id": fresh_generation_id(db) if row["generation_id"] == "0:0" else row["generation_id"],
            "hardware_platform_version": max(row["hardware_platform_version"], int(row["has_vendor_device"])),
            "memory_target": row["memory_dynamic_max"],
            "memory_overhead": overhead_bytes(row),
        }
    db.set("VM", vm, **fields)
    if not db.exists("VM_metrics", row["metrics"]):
        db.set("VM", vm, metrics=db.create("VM_metrics"))
    if not resumed:
        db.set("VM_metrics", db.row("VM", vm)["metrics"], start_time=now())
    _note_state(db, vm)


def _note_state(db: "Database", vm: str) -> None:
    """Keep the VM's metrics in step with its state."""
    row = db.row("VM", vm)
    if not db.exists("VM_metrics", row["metrics"]):
        return
    live = row["power_state"] in (lifecycle.RUNNING, lifecycle.PAUSED)
    fields: dict[str, Any] = {"state": [row["power_state"].lower()], "last_updated": now()}
    if live:
        kind = row["domain_type"]
        fields |= {"hvm": kind == "hvm", "current_domain_type": kind}
        fields |= {"VCPUs_number": row["VCPUs_at_startup"], "memory_actual": row["memory_dynamic_max"]}
    else:
        fields |= {"memory_actual": 0, "VCPUs_number": 0}
    db.set("VM_metrics", row["metrics"], **fields)


def _plug_devices(db: "Database", vm: str) -> None:
    row = db.row("VM", vm)
    for vbd in row["VBDs"]:
        attach.plug_in(db, vbd)
    for vif in row["VIFs"]:
        db.set("VIF", vif, currently_attached=True)
        refresh(db, "VIF", vif)


def _start_guest(pool: "SimPool", vm: str, *, paused: bool) -> None:
    """The guest runs; one that cannot be run is a VM that does not start."""
    try:
        pool.guests.start(vm)
    except (WarmigError, OSError) as error:
        halt(pool, vm)
        raise XapiFailure("INTERNAL_ERROR", str(error)) from error
    if paused:
        pool.guests.pause(vm)


def next_domid(db: "Database", host: str) -> int:
    """Domain numbers are never used twice on a host while it is up."""
    return 1 + max((vm["domid"] for vm in db.rows("VM").values() if vm["resident_on"] == host), default=0)


def _with_disk(db: "Database", vm: str) -> list[str]:
    vbds = [vbd for vbd in db.row("VM", vm)["VBDs"] if db.exists("VBD", vbd)]
    return [vbd for vbd in vbds if not db.row("VBD", vbd)["empty"] and db.exists("VDI", db.row("VBD", vbd)["VDI"])]
