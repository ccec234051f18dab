"""VM.snapshot, VM.checkpoint and VM.revert."""

import contextlib
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import disks, licence, lifecycle, vif, vtpm
from xo_warmig.simulator.calls.boot import set_power_state
from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around
from xo_warmig.simulator.calls.vm_copies import KEPT, copy_disks, copy_vbd, copy_vm
from xo_warmig.simulator.calls.vm_identity import fresh_generation_id
from xo_warmig.simulator.calls.vm_power import power_off
from xo_warmig.simulator.calls.vm_suspend import suspend_image
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_NOT_REVERTED = ("affinity", "ha_restart_priority", "is_control_domain", "last_boot_CPU_flags", "memory_target", "tags")


def snapshot(call: "Call", vm: str, new_name: str, ignore_vdis: list[str] | None = None) -> str:
    """A snapshot in any power state, disk by disk."""
    skip = tuple(ignore_vdis or ())
    with doing(call, Hold("VM", vm, "snapshot")):
        return copy_vm(call, vm, new_name, lambda vdi: disks.snapshot(call, vdi), snapshot=True, skip=skip)


def checkpoint(call: "Call", vm: str, new_name: str) -> str:
    """A snapshot with memory: the VM is stopped for the length of it."""
    pool, db = call.pool, call.pool.db
    with doing(call, Hold("VM", vm, "checkpoint")):
        licence.assert_enabled(pool, "Checkpoint")
        state = db.row("VM", vm)["power_state"]
        image = suspend_image(call, vm) if state == lifecycle.RUNNING else NULL
        suspended = db.row("VM", vm)["suspend_VDI"]
        pool.guests.pause(vm)
        try:
            ref = copy_vm(call, vm, new_name, lambda vdi: disks.snapshot(call, vdi), snapshot=True)
            if db.exists("VDI", suspended):
                image = disks.snapshot(call, suspended)
        except BaseException:
            if db.exists("VDI", image):
                with contextlib.suppress(XapiFailure):
                    disks.destroy(call, image)
            raise
        finally:
            if state == lifecycle.RUNNING:
                pool.guests.unpause(vm)
        with db.lock:
            db.set("VM", ref, suspend_VDI=image)
            if state in (lifecycle.RUNNING, lifecycle.SUSPENDED):
                set_power_state(db, ref, lifecycle.SUSPENDED)
        return ref


def revert(call: "Call", snapshot: str) -> None:
    """Let the VM be as it was: its disks go, copies of the snapshot's take their place; whatever ran in it stops."""
    db = call.pool.db
    vm = db.row("VM", snapshot)["snapshot_of"]
    if db.row("VM", snapshot)["is_a_snapshot"] and not db.exists("VM", vm):
        raise XapiFailure("VM_REVERT_FAILED", vm, snapshot)
    with doing(call, Hold("VM", snapshot, "revert")), doing(call, Hold("VM", vm, "reverting")):
        if db.row("VM", vm)["power_state"] != lifecycle.HALTED:
            power_off(call, vm)
        _replace_disks(call, snapshot, vm)
        _replace_settings(call, snapshot, vm)
        refresh_around(db, "VM", vm)


def _replace_disks(call: "Call", snapshot: str, vm: str) -> None:
    """Disks that the snapshot does not know stay, without a VBD."""
    db = call.pool.db
    vbds = db.field("VM", snapshot, "VBDs")
    known = {db.row("VDI", db.row("VBD", vbd)["VDI"])["snapshot_of"] for vbd in vbds if not db.row("VBD", vbd)["empty"]}
    for vbd in db.field("VM", vm, "VBDs"):
        row = db.row("VBD", vbd)
        db.delete("VBD", vbd)
        if row["type"] == "Disk" and row["VDI"] in known and db.exists("VDI", row["VDI"]):
            disks.destroy(call, row["VDI"])
    former = {vbd: _origin(call, vbd) for vbd in vbds}
    for vbd, vdi in copy_disks(call, vbds, lambda disk: disks.clone(call, disk)).items():
        copy_vbd(db, vbd, vm, vdi)
        if vdi != NULL and former[vbd] != NULL:
            for other in db.find("VDI", snapshot_of=former[vbd]):
                db.set("VDI", other, snapshot_of=vdi)


def _origin(call: "Call", vbd: str) -> str:
    """The disk that the disk of a snapshot's VBD was taken of."""
    db = call.pool.db
    vdi = db.row("VBD", vbd)["VDI"]
    return str(db.row("VDI", vdi)["snapshot_of"]) if db.exists("VDI", vdi) else NULL


def _replace_settings(call: "Call", snapshot: str, vm: str) -> None:
    db = call.pool.db
    with db.lock:
        row = db.get("VM", snapshot)
        fields = {name: row[name] for name in KEPT if name not in _NOT_REVERTED}
        for interface in db.field("VM", vm, "VIFs"):
            db.delete("VIF", interface)
        for interface in row["VIFs"]:
            vif.copy_to(db, interface, vm, keep_mac=True)
        for chip in db.field("VM", vm, "VTPMs"):
            vtpm.drop_contents(db, chip)
            db.delete("VTPM", chip)
        for chip in row["VTPMs"]:
            vtpm.copy_to(db, chip, vm)
        fields |= {"other_config": row["other_config"], "parent": snapshot}
        fields["generation_id"] = fresh_generation_id(db, row["generation_id"])
        db.set("VM", vm, **fields)


CALLS = {"VM.snapshot": snapshot, "VM.checkpoint": checkpoint, "VM.revert": revert}
