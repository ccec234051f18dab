"""When a VM lets an operation happen: power states, what may run side by side, and the rest in XAPI's order of checks.

The order and the tables are those of ocaml/xapi/xapi_vm_lifecycle.ml: the first thing that speaks against an operation is reported.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.calls.rules import Refusal, Rules, busy
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

HALTED, PAUSED, SUSPENDED, RUNNING = "Halted", "Paused", "Suspended", "Running"
_ANY = (HALTED, PAUSED, SUSPENDED, RUNNING)

POWER_STATES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("changing_VCPUs", "changing_static_range", "changing_memory_limits"), (HALTED,)),
    **dict.fromkeys(("changing_shadow_memory", "changing_NVRAM", "make_into_template", "create_vtpm"), (HALTED,)),
    **dict.fromkeys(("provision", "start", "start_on"), (HALTED,)),
    **dict.fromkeys(("resume", "resume_on"), (SUSPENDED,)),
    **dict.fromkeys(("clean_reboot", "clean_shutdown", "pause", "pool_migrate", "suspend"), (RUNNING,)),
    **dict.fromkeys(("call_plugin", "changing_memory_live", "changing_VCPUs_live", "data_source_op"), (RUNNING,)),
    **dict.fromkeys(("awaiting_memory_live", "changing_shadow_memory_live"), (RUNNING,)),
    **dict.fromkeys(("send_sysrq", "send_trigger", "snapshot_with_quiesce"), (RUNNING,)),
    "unpause": (PAUSED,),
    "changing_dynamic_range": (HALTED, RUNNING),
    "clone": (HALTED,),
    "copy": (HALTED,),
    **dict.fromkeys(("create_template", "destroy", "export"), (HALTED, SUSPENDED)),
    "hard_reboot": (PAUSED, RUNNING),
    **dict.fromkeys(("checkpoint", "get_boot_record", "shutdown", "hard_shutdown"), (PAUSED, SUSPENDED, RUNNING)),
    "migrate_send": (HALTED, SUSPENDED, RUNNING),
    **dict.fromkeys(("assert_operation_valid", "metadata_export", "power_state_reset", "query_services"), _ANY),
    **dict.fromkeys(("revert", "reverting", "snapshot", "update_allowed_operations"), _ANY),
    "import": (),
    "csvm": (SUSPENDED,),
}

LISTED = names(
    """snapshot copy clone revert checkpoint start start_on pause unpause clean_shutdown clean_reboot hard_shutdown hard_reboot
    suspend resume resume_on export destroy provision changing_VCPUs_live pool_migrate migrate_send make_into_template
    changing_static_range changing_shadow_memory changing_dynamic_range changing_NVRAM changing_VCPUs create_vtpm metadata_export"""
)

_LONG_COPIES = frozenset({"clone", "copy", "export"})
_SNAPSHOTS = frozenset({"snapshot", "checkpoint"})
_DURING_MIGRATION = frozenset({"metadata_export", "clean_shutdown", "clean_reboot"})
_FOR_TEMPLATES = frozenset(
    names(
        """changing_dynamic_range changing_static_range changing_memory_limits changing_shadow_memory changing_VCPUs changing_NVRAM
    clone copy export metadata_export provision"""
    )
)
_FOR_SNAPSHOTS = frozenset({"revert", "clone", "copy", "export", "destroy", "hard_shutdown", "metadata_export"})
_FOR_CONTROL_DOMAINS = frozenset(
    names(
        """data_source_op changing_memory_live awaiting_memory_live metadata_export changing_dynamic_range changing_memory_limits
    changing_static_range start start_on changing_VCPUs destroy"""
    )
)
_MOVING = frozenset({"suspend", "checkpoint", "pool_migrate", "migrate_send"})


class View(NamedTuple):
    """What the checks look at, read once."""

    ref: str
    vm: "Row"
    guest: "Row | None"
    vdis: list["Row"]


def view(db: "Database", ref: str) -> View:
    """Raises HANDLE_INVALID."""
    with db.lock:
        vm = db.row("VM", ref)
        guest = (
            db.row("VM_guest_metrics", vm["guest_metrics"])
            if db.exists("VM_guest_metrics", vm["guest_metrics"])
            else None
        )
        vdis = [db.row("VBD", vbd)["VDI"] for vbd in vm["VBDs"] if db.exists("VBD", vbd)]
        return View(ref, vm, guest, [db.row("VDI", vdi) for vdi in vdis if db.exists("VDI", vdi)])


def refusals(db: "Database", ref: str) -> Refusal:
    """Looks at the VM once; what it gives judges any operation."""
    seen = view(db, ref)
    checks = (_blocked, _power_state, _concurrent, _template, _snapshot, _mobile, _control_domain, _features, _disks)
    more = (_devices, _membership)

    def refuse(op: str) -> XapiFailure | None:
        return next((failure for check in (*checks, *more) if (failure := check(seen, op)) is not None), None)

    return refuse


RULES = Rules(LISTED, refusals)


def power_states(vm: Mapping[str, Any], op: str) -> tuple[str, ...]:
    """The power states in which this VM lets the operation happen."""
    states = POWER_STATES[op]
    if op in ("clone", "copy") and vm["is_a_snapshot"]:
        return (*states, SUSPENDED)
    if op in ("changing_VCPUs", "changing_static_range", "changing_memory_limits") and vm["is_control_domain"]:
        return (*states, RUNNING)
    return states


def bad_power_state(ref: str, expected: tuple[str, ...], actual: str) -> XapiFailure:
    """VM_BAD_POWER_STATE as it is written: lower case, expected ones joined by comma and space."""
    return XapiFailure("VM_BAD_POWER_STATE", ref, ", ".join(state.lower() for state in expected), actual.lower())


def is_default_template(vm: Mapping[str, Any]) -> bool:
    return vm["is_default_template"] or vm["other_config"].get("default_template", "").lower() in ("1", "true")


def has_tools(guest: Mapping[str, Any] | None) -> bool:
    """Whether PV drivers have been seen, which imply every feature."""
    return guest is not None and guest["PV_drivers_detected"]


def _blocked(seen: View, op: str) -> XapiFailure | None:
    reason = seen.vm["blocked_operations"].get(op)
    return None if reason is None else XapiFailure("OPERATION_BLOCKED", seen.ref, reason)


def _power_state(seen: View, op: str) -> XapiFailure | None:
    expected, actual = power_states(seen.vm, op), seen.vm["power_state"]
    return None if actual in expected else bad_power_state(seen.ref, expected, actual)


def _concurrent(seen: View, op: str) -> XapiFailure | None:
    current: dict[str, str] = seen.vm["current_operations"]
    return None if not current or may_run_beside(op, list(current.values())) else busy("VM", seen.ref, current)


def may_run_beside(op: str, running: list[str]) -> bool:
    """Whether the operation may start while these are under way."""
    if any(op in family and family.issuperset(running) for family in (_LONG_COPIES, _SNAPSHOTS, {"get_boot_record"})):
        return True
    if op == "hard_shutdown":
        return op not in running
    if op == "hard_reboot":
        return not {"hard_shutdown", "hard_reboot"}.intersection(running)
    return running == ["migrate_send"] and op in _DURING_MIGRATION


def _template(seen: View, op: str) -> XapiFailure | None:
    if seen.vm["is_a_snapshot"]:
        return None
    if not seen.vm["is_a_template"]:
        return XapiFailure("ONLY_PROVISION_TEMPLATE") if op == "provision" else None
    if op in _FOR_TEMPLATES or (op in ("destroy", "migrate_send") and not is_default_template(seen.vm)):
        return None
    return XapiFailure("VM_IS_TEMPLATE", seen.ref, op)


def _snapshot(seen: View, op: str) -> XapiFailure | None:
    if not seen.vm["is_a_snapshot"]:
        return XapiFailure("ONLY_REVERT_SNAPSHOT") if op == "revert" else None
    return None if op in _FOR_SNAPSHOTS else XapiFailure("VM_IS_SNAPSHOT", seen.ref, op)


def _mobile(seen: View, op: str) -> XapiFailure | None:
    if op not in _MOVING:
        return None
    stays = any(seen.vm["platform"].get(key, "").lower() in ("1", "true") for key in ("nomigrate", "nested-virt"))
    return XapiFailure("VM_IS_IMMOBILE", seen.ref) if stays else None


def _control_domain(seen: View, op: str) -> XapiFailure | None:
    if not seen.vm["is_control_domain"]:
        return None
    if op in ("changing_VCPUs", "destroy"):
        return XapiFailure("OPERATION_NOT_ALLOWED", "This operation is not allowed on dom0")
    if op in _FOR_CONTROL_DOMAINS:
        return None
    return XapiFailure("OPERATION_NOT_ALLOWED", "This operation is not allowed on a control domain")


def _features(seen: View, op: str) -> XapiFailure | None:
    """What needs the help of a running HVM guest needs its drivers or the feature that says so."""
    live = seen.vm["power_state"] in (RUNNING, PAUSED)
    if not live or seen.vm["domain_type"] in ("pv", "pvh", "pv_in_pvh") or has_tools(seen.guest):
        return None
    other = {} if seen.guest is None else seen.guest["other"]
    needed = {
        "suspend": ("feature-suspend",),
        "checkpoint": ("feature-suspend",),
        "pool_migrate": ("feature-suspend",),
        "migrate_send": ("feature-suspend",),
        "clean_shutdown": ("feature-shutdown", "feature-poweroff"),
        "clean_reboot": ("feature-shutdown", "feature-reboot"),
        "changing_VCPUs_live": ("feature-vcpu-hotplug",),
    }.get(op)
    lacks = needed is not None and not any(other.get(feature) == "1" for feature in needed)
    return XapiFailure("VM_LACKS_FEATURE", seen.ref) if lacks else None


def _disks(seen: View, op: str) -> XapiFailure | None:
    if op == "snapshot_with_quiesce":
        return XapiFailure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", seen.ref)
    if op not in ("checkpoint", "snapshot", "suspend") or all(vdi["on_boot"] != "reset" for vdi in seen.vdis):
        return None
    return XapiFailure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")


def _devices(seen: View, op: str) -> XapiFailure | None:
    if op in _MOVING and seen.vm["attached_PCIs"]:
        return XapiFailure("VM_HAS_PCI_ATTACHED", seen.ref)
    if op in _MOVING and seen.vm["VGPUs"] and not (op == "migrate_send" and seen.vm["power_state"] == HALTED):
        return XapiFailure("VM_HAS_VGPU", seen.ref)
    if (op in _MOVING or op == "snapshot") and seen.vm["VUSBs"]:
        return XapiFailure("VM_HAS_VUSBS", seen.ref)
    return None


def _membership(seen: View, op: str) -> XapiFailure | None:
    if op != "make_into_template":
        return None
    for field, code in (
        ("appliance", "VM_IS_PART_OF_AN_APPLIANCE"),
        ("snapshot_schedule", "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE"),
    ):
        if seen.vm[field] not in ("", "OpaqueRef:NULL"):
            return XapiFailure(code, seen.ref, seen.vm[field])
    return None
