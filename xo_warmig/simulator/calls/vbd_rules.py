"""When a VBD lets an operation happen, and who may share a disk. After ocaml/xapi/xapi_vbd_helpers.ml."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import hotplug, lifecycle
from xo_warmig.simulator.calls.rules import Refusal, Rules
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

LISTED = ("attach", "eject", "insert", "plug", "unplug", "unplug_force", "pause", "unpause")
_PLUGGING = frozenset({"plug", "unplug", "unplug_force"})
_NEEDS_DISK = frozenset({"attach", "plug", "insert"})


def refusals(db: "Database", ref: str) -> Refusal:
    """Looks at the VBD, its VM and its VDI once; what it gives judges any operation."""
    with db.lock:
        vbd = db.row("VBD", ref)
        seen = lifecycle.view(db, vbd["VM"])
        vdi = db.row("VDI", vbd["VDI"]) if not vbd["empty"] and db.exists("VDI", vbd["VDI"]) else None
        shared = sharing(db, ref) if vdi is not None and not vbd["currently_attached"] else None

    def refuse(op: str) -> XapiFailure | None:
        for failure in (
            hotplug.own_operation("VBD", ref, vbd),
            _media(ref, vbd, op),
            _power(ref, vbd, seen, op),
            _suspended_drive(vbd, seen, op),
            _disk(ref, vbd, vdi, op),
            shared if op in _NEEDS_DISK else None,
        ):
            if failure is not None:
                return failure
        return None

    return refuse


RULES = Rules(LISTED, refusals)


def is_system_domain(vm: "Row") -> bool:
    """dom0 and driver domains, which are trusted to share disks."""
    return bool(vm["is_control_domain"]) or vm["other_config"].get("is_system_domain", "").lower() in ("1", "true")


def sharing(db: "Database", ref: str) -> XapiFailure | None:
    """VDI_IN_USE when another VM has the disk in a way that does not go with this VBD's; VDI_READONLY when it is read-only."""
    vbd = db.row("VBD", ref)
    vdi = db.row("VDI", vbd["VDI"])
    writes = vbd["mode"] == "RW"
    others = [other for other in vdi["VBDs"] if other != ref and db.exists("VBD", other) and _counts(db, other)]
    written = any(db.row("VBD", other)["mode"] == "RW" for other in others)
    exempt = vdi["sharable"] or is_system_domain(db.row("VM", vbd["VM"]))
    if not exempt and (written or (writes and others)):
        return XapiFailure("VDI_IN_USE", vbd["VDI"])
    return XapiFailure("VDI_READONLY", vbd["VDI"]) if writes and vdi["read_only"] else None


def _counts(db: "Database", ref: str) -> bool:
    """Attached or about to be, by a VM that is neither suspended nor trusted."""
    vbd = db.row("VBD", ref)
    if not (vbd["currently_attached"] or vbd["current_operations"]) or not db.exists("VM", vbd["VM"]):
        return False
    vm = db.row("VM", vbd["VM"])
    return vm["power_state"] != lifecycle.SUSPENDED and not is_system_domain(vm)


def _media(ref: str, vbd: "Row", op: str) -> XapiFailure | None:
    if op in ("unplug", "unplug_force") and not vbd["unpluggable"]:
        return XapiFailure("VBD_NOT_UNPLUGGABLE", ref)
    if op not in ("insert", "eject"):
        return None
    if vbd["type"] != "CD":
        return XapiFailure("VBD_NOT_REMOVABLE_MEDIA", ref)
    if op == "eject" and vbd["empty"]:
        return XapiFailure("VBD_IS_EMPTY", ref)
    return XapiFailure("VBD_NOT_EMPTY", ref) if op == "insert" and not vbd["empty"] else None


def _power(ref: str, vbd: "Row", seen: lifecycle.View, op: str) -> XapiFailure | None:
    if op in _PLUGGING:
        failure = hotplug.by_power_state(ref, vbd["currently_attached"], seen, op) or hotplug.by_vm_operation(seen)
        if failure is not None or seen.vm["is_control_domain"]:
            return failure
        if (failure := hotplug.by_drivers(seen, "can_use_hotplug_vbd")) is not None:
            return failure
        if vbd["type"] == "CD" and seen.vm["domain_type"] == "hvm":
            text = "HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected"
            return XapiFailure("OPERATION_NOT_ALLOWED", text)
    if op in ("pause", "unpause") and seen.vm["power_state"] not in (lifecycle.RUNNING, lifecycle.PAUSED):
        return lifecycle.bad_power_state(seen.ref, (lifecycle.RUNNING,), seen.vm["power_state"])
    return None


def _suspended_drive(vbd: "Row", seen: lifecycle.View, op: str) -> XapiFailure | None:
    if op in ("insert", "eject") and seen.vm["power_state"] == lifecycle.SUSPENDED:
        return lifecycle.bad_power_state(seen.ref, (lifecycle.HALTED, lifecycle.RUNNING), lifecycle.SUSPENDED)
    return None


def _disk(ref: str, vbd: "Row", vdi: "Row | None", op: str) -> XapiFailure | None:
    if vdi is None:
        return None
    if not vdi["managed"]:
        return XapiFailure("VDI_NOT_MANAGED", ref)
    if op in _NEEDS_DISK:
        for task, current in vdi["current_operations"].items():
            if current not in ("mirror", "copy"):
                return XapiFailure("OTHER_OPERATION_IN_PROGRESS", "VDI", vbd["VDI"], current, task)
    return None
