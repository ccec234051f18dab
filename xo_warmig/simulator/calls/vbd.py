"""Calls on VBDs: create, plug and unplug, put CDs in and out, destroy."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import lifecycle
from xo_warmig.simulator.calls.devices import settle_userdevice
from xo_warmig.simulator.calls.operations import Hold, doing, refresh, refresh_around, require
from xo_warmig.simulator.calls.rules import busy
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

_KEPT = ("bootable", "mode", "type", "empty", "other_config", "qos_algorithm_type", "qos_algorithm_params")
_NOT_DATA = ("cbt_metadata", "ha_statefile", "redo_log")


def create(call: "Call", args: dict[str, Any]) -> str:
    """A VBD that is not attached. That others have the same disk is no matter here, only when it is plugged."""
    db = call.pool.db
    with db.lock:
        vm, vdi = args["VM"], NULL if args["empty"] else args["VDI"]
        row = db.row("VM", vm)
        _assert_fits(db, args, vdi)
        moving = {task: op for task, op in row["current_operations"].items() if op in ("migrate_send", "pool_migrate")}
        if moving:
            raise busy("VM", vm, moving)
        userdevice = settle_userdevice(call.pool, vm, args["userdevice"], args["type"])
        suspended = row["power_state"] == lifecycle.SUSPENDED
        fields = {name: args[name] for name in _KEPT} | {"unpluggable": args.get("unpluggable", True)}
        fields |= (
            {"device": args.get("device", ""), "currently_attached": args.get("currently_attached", False)}
            if suspended
            else {}
        )
        ref = db.create("VBD", VM=vm, VDI=vdi, userdevice=userdevice, **fields)
        refresh_around(db, "VBD", ref)
        return ref


def _assert_fits(db: "Database", args: dict[str, Any], vdi: str) -> None:
    if not args["empty"]:
        kind = db.row("VDI", vdi)["type"]
        if kind in _NOT_DATA:
            raise XapiFailure("VDI_INCOMPATIBLE_TYPE", vdi, kind)
    if args["type"] == "CD" and args["mode"] != "RO":
        raise XapiFailure("VBD_CDS_MUST_BE_READONLY")
    if args["type"] != "CD" and args["empty"]:
        raise XapiFailure("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if args["mode"] == "RW" and db.row("VDI", vdi)["read_only"]:
        raise XapiFailure("VDI_READONLY", vdi)


def destroy(call: "Call", vbd: str) -> None:
    db = call.pool.db
    with db.lock:
        row = db.row("VBD", vbd)
        if row["currently_attached"] or row["current_operations"]:
            vm = db.row("VM", row["VM"])["uuid"] if db.exists("VM", row["VM"]) else row["VM"]
            raise XapiFailure("OPERATION_NOT_ALLOWED", f"VBD '{row['uuid']}' still attached to '{vm}'")
        db.delete("VBD", vbd)
        refresh(db, "VDI", row["VDI"])


def plug(call: "Call", vbd: str) -> None:
    pool = call.pool
    with doing(call, Hold("VBD", vbd, "plug")):
        if not pool.db.row("VBD", vbd)["empty"]:
            attach.claim(pool.db, vbd)
        pool.delays.wait("plug")
        attach.plug_in(pool.db, vbd)


def unplug(call: "Call", vbd: str) -> None:
    _unplug(call, vbd, "unplug")


def unplug_force(call: "Call", vbd: str) -> None:
    _unplug(call, vbd, "unplug_force")


def _unplug(call: "Call", vbd: str, op: str) -> None:
    with doing(call, Hold("VBD", vbd, op)):
        if vbd in call.pool.open_vbds:
            raise XapiFailure("DEVICE_DETACH_REJECTED", "VBD", vbd, "the device is in use")
        call.pool.delays.wait("detach")
        attach.plug_out(call.pool.db, vbd)


def insert(call: "Call", vbd: str, vdi: str) -> None:
    """Put a CD into the empty drive."""
    db = call.pool.db
    db.row("VDI", vdi)
    with doing(call, Hold("VBD", vbd, "insert")):
        row = db.row("VBD", vbd)
        if db.row("VDI", vdi)["current_operations"]:
            raise busy("VDI", vdi, db.row("VDI", vdi)["current_operations"])
        vm = db.row("VM", row["VM"])
        live = vm["power_state"] in (lifecycle.RUNNING, lifecycle.PAUSED)
        if live:
            attach.claim_on(db, vdi, vm["resident_on"], "RO")
        db.set("VBD", vbd, VDI=vdi, empty=False, currently_attached=live)
        attach.note_hosts(db, vdi)
    refresh(db, "VDI", vdi)


def eject(call: "Call", vbd: str) -> None:
    """Take the CD out."""
    db = call.pool.db
    with doing(call, Hold("VBD", vbd, "eject")):
        vdi = db.row("VBD", vbd)["VDI"]
        db.set("VBD", vbd, VDI=NULL, empty=True)
        attach.note_hosts(db, vdi)
    if db.exists("VDI", vdi):
        refresh(db, "VDI", vdi)


def assert_attachable(call: "Call", vbd: str) -> None:
    require(call.pool.db, Hold("VBD", vbd, "attach"))


def set_mode(call: "Call", vbd: str, value: str) -> None:
    """Only while the VM is halted."""
    db = call.pool.db
    with db.lock:
        row = db.row("VBD", vbd)
        state = db.row("VM", row["VM"])["power_state"]
        if state != lifecycle.HALTED:
            raise lifecycle.bad_power_state(row["VM"], (lifecycle.HALTED,), state)
        if row["type"] == "CD" and value == "RW":
            raise XapiFailure("VBD_CDS_MUST_BE_READONLY")
        if value == "RW" and not row["empty"] and db.row("VDI", row["VDI"])["read_only"]:
            raise XapiFailure("VDI_READONLY", row["VDI"])
        db.set("VBD", vbd, mode=value)
        refresh(db, "VBD", vbd)


def set_userdevice(call: "Call", vbd: str, value: str) -> None:
    """Another device for a VBD that is not attached."""
    db = call.pool.db
    with db.lock:
        row = db.row("VBD", vbd)
        if row["userdevice"] == value:
            return
        if row["currently_attached"]:
            raise XapiFailure("DEVICE_ALREADY_ATTACHED", vbd)
        db.set("VBD", vbd, userdevice=settle_userdevice(call.pool, row["VM"], value, row["type"]))


CALLS = {
    "VBD.create": create,
    "VBD.destroy": destroy,
    "VBD.plug": plug,
    "VBD.unplug": unplug,
    "VBD.unplug_force": unplug_force,
    "VBD.insert": insert,
    "VBD.eject": eject,
    "VBD.assert_attachable": assert_attachable,
    "VBD.set_mode": set_mode,
    "VBD.set_userdevice": set_userdevice,
}
