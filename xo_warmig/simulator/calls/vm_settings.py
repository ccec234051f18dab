"""Setters of VMs that have preconditions or effects beyond their field. Plain ones need no code of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls import licence, lifecycle
from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around
from xo_warmig.simulator.calls.vm_identity import assert_vendor_device, domain_type
from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_VCPU_ORDER = "VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max"
_PRIORITIES = ("", "best-effort", "restart")


def set_blocked_operations(call: "Call", vm: str, value: dict[str, str]) -> None:
    call.pool.db.set("VM", vm, blocked_operations=value)
    refresh_around(call.pool.db, "VM", vm)


def add_to_blocked_operations(call: "Call", vm: str, key: str, value: str) -> None:
    db = call.pool.db
    with db.lock:
        if key in db.row("VM", vm)["blocked_operations"]:
            raise XapiFailure("MAP_DUPLICATE_KEY", "VM", "blocked_operations", vm, key)
        db.update_map("VM", vm, "blocked_operations", **{key: value})
        refresh_around(db, "VM", vm)


def remove_from_blocked_operations(call: "Call", vm: str, key: str) -> None:
    call.pool.db.update_map("VM", vm, "blocked_operations", **{key: None})
    refresh_around(call.pool.db, "VM", vm)


def set_is_a_template(call: "Call", vm: str, value: bool) -> None:
    """To a template only when halted; back from one at any time, which counts as its installation."""
    db = call.pool.db
    if value == db.row("VM", vm)["is_a_template"]:
        return
    if not value:
        with db.lock:
            metrics = db.row("VM", vm)["metrics"]
            if db.exists("VM_metrics", metrics):
                db.set("VM_metrics", metrics, install_time=now())
            db.set("VM", vm, is_a_template=False)
    else:
        with doing(call, Hold("VM", vm, "make_into_template")):
            db.set("VM", vm, is_a_template=True, ha_always_run=False, groups=[])
    refresh_around(db, "VM", vm)


def set_vcpus_max(call: "Call", vm: str, value: int) -> None:
    db = call.pool.db
    with doing(call, Hold("VM", vm, "changing_VCPUs")):
        if not 0 < db.row("VM", vm)["VCPUs_at_startup"] <= value:
            raise XapiFailure("INVALID_VALUE", _VCPU_ORDER, str(value))
        db.set("VM", vm, VCPUs_max=value)


def set_vcpus_at_startup(call: "Call", vm: str, value: int) -> None:
    db = call.pool.db
    with doing(call, Hold("VM", vm, "changing_VCPUs")):
        if not 0 < value <= db.row("VM", vm)["VCPUs_max"]:
            raise XapiFailure("INVALID_VALUE", _VCPU_ORDER, str(value))
        db.set("VM", vm, VCPUs_at_startup=value)


def set_vcpus_number_live(call: "Call", vm: str, value: int) -> None:
    """Of a running VM, up to its maximum."""
    db = call.pool.db
    licence.assert_enabled(call.pool, "Live_set_vcpus")
    with doing(call, Hold("VM", vm, "changing_VCPUs_live")):
        row = db.row("VM", vm)
        if not 0 < value <= row["VCPUs_max"]:
            raise XapiFailure("INVALID_VALUE", _VCPU_ORDER, str(value))
        db.set("VM", vm, VCPUs_at_startup=value)
        db.set("VM_metrics", row["metrics"], VCPUs_number=value)


def set_nvram(call: "Call", vm: str, value: dict[str, str]) -> None:
    with doing(call, Hold("VM", vm, "changing_NVRAM")):
        call.pool.db.set("VM", vm, NVRAM=value)


def add_to_nvram(call: "Call", vm: str, key: str, value: str) -> None:
    db = call.pool.db
    with doing(call, Hold("VM", vm, "changing_NVRAM")):
        if key in db.row("VM", vm)["NVRAM"]:
            raise XapiFailure("MAP_DUPLICATE_KEY", "VM", "NVRAM", vm, key)
        db.update_map("VM", vm, "NVRAM", **{key: value})


def remove_from_nvram(call: "Call", vm: str, key: str) -> None:
    with doing(call, Hold("VM", vm, "changing_NVRAM")):
        call.pool.db.update_map("VM", vm, "NVRAM", **{key: None})


def set_nvram_efi_variables(call: "Call", vm: str, value: str) -> None:
    """The firmware itself stores its variables, while the VM runs."""
    call.pool.db.update_map("VM", vm, "NVRAM", **{"EFI-variables": value})


def set_domain_type(call: "Call", vm: str, value: str) -> None:
    _assert_halted(call, vm)
    policy = call.pool.db.row("VM", vm)["HVM_boot_policy"]
    boots = (policy or "BIOS order") if value == "hvm" else ""
    call.pool.db.set("VM", vm, domain_type=value, HVM_boot_policy=boots)


def set_hvm_boot_policy(call: "Call", vm: str, value: str) -> None:
    _assert_halted(call, vm)
    call.pool.db.set("VM", vm, HVM_boot_policy=value, domain_type=domain_type("unspecified", value))


def set_hvm_shadow_multiplier(call: "Call", vm: str, value: float) -> None:
    with doing(call, Hold("VM", vm, "changing_shadow_memory")):
        if value < 1:
            raise XapiFailure("INVALID_VALUE", "HVM_shadow_multiplier", str(value))
        call.pool.db.set("VM", vm, HVM_shadow_multiplier=value)


def set_has_vendor_device(call: "Call", vm: str, value: bool) -> None:
    if value:
        assert_vendor_device(call.pool)
    _assert_halted(call, vm)
    call.pool.db.set("VM", vm, has_vendor_device=value)


def set_actions_after_crash(call: "Call", vm: str, value: str) -> None:
    field = "VM.actions_after_crash"
    if value == "rename_restart":
        text = "option would leak a domain; VMs and not domains are managed by this API"
        raise XapiFailure("VALUE_NOT_SUPPORTED", field, value, text)
    if value.startswith("coredump") and call.pool.db.row("VM", vm)["domain_type"] != "pv":
        text = "cannot invoke a coredump of an HVM, PVH or PV-in-PVH domain"
        raise XapiFailure("VALUE_NOT_SUPPORTED", field, value, text)
    call.pool.db.set("VM", vm, actions_after_crash=value)


def set_ha_restart_priority(call: "Call", vm: str, value: str) -> None:
    if value not in _PRIORITIES:
        raise XapiFailure("INVALID_VALUE", "ha_restart_priority", value)
    call.pool.db.set("VM", vm, ha_restart_priority=value)


def set_appliance(call: "Call", vm: str, value: str) -> None:
    db = call.pool.db
    _assert_plain_vm(call, vm, "Control domains, templates and snapshots cannot be assigned to appliances.")
    if value not in ("", NULL):
        db.row("VM_appliance", value)
    db.set("VM", vm, appliance=value)
    refresh_around(db, "VM", vm)


def set_groups(call: "Call", vm: str, value: list[str]) -> None:
    _assert_plain_vm(call, vm, "Control domains, templates, and snapshots cannot be added to VM groups.")
    if len(value) > 1:
        raise XapiFailure("TOO_MANY_GROUPS")
    call.pool.db.set("VM", vm, groups=value)


def _natural(field: str) -> Callable[["Call", str, int], None]:
    """A setter of a number that is not negative."""

    def setter(call: "Call", vm: str, value: int) -> None:
        if value < 0:
            raise XapiFailure("INVALID_VALUE", field, str(value))
        call.pool.db.set("VM", vm, **{field: value})

    return setter


def _assert_halted(call: "Call", vm: str) -> None:
    state = call.pool.db.row("VM", vm)["power_state"]
    if state != lifecycle.HALTED:
        raise lifecycle.bad_power_state(vm, (lifecycle.HALTED,), state)


def _assert_plain_vm(call: "Call", vm: str, text: str) -> None:
    row = call.pool.db.row("VM", vm)
    if row["is_control_domain"] or row["is_a_template"] or row["is_a_snapshot"]:
        raise XapiFailure("OPERATION_NOT_ALLOWED", text)


CALLS: dict[str, Callable[..., Any]] = {
    "VM.set_blocked_operations": set_blocked_operations,
    "VM.add_to_blocked_operations": add_to_blocked_operations,
    "VM.remove_from_blocked_operations": remove_from_blocked_operations,
    "VM.set_is_a_template": set_is_a_template,
    "VM.set_VCPUs_max": set_vcpus_max,
    "VM.set_VCPUs_at_startup": set_vcpus_at_startup,
    "VM.set_VCPUs_number_live": set_vcpus_number_live,
    "VM.set_NVRAM": set_nvram,
    "VM.add_to_NVRAM": add_to_nvram,
    "VM.remove_from_NVRAM": remove_from_nvram,
    "VM.set_domain_type": set_domain_type,
    "VM.set_HVM_boot_policy": set_hvm_boot_policy,
    "VM.set_HVM_shadow_multiplier": set_hvm_shadow_multiplier,
    "VM.set_has_vendor_device": set_has_vendor_device,
    "VM.set_actions_after_crash": set_actions_after_crash,
    "VM.set_ha_restart_priority": set_ha_restart_priority,
    "VM.set_appliance": set_appliance,
    "VM.set_groups": set_groups,
    "VM.set_order": _natural("order"),
    "VM.set_start_delay": _natural("start_delay"),
    "VM.set_shutdown_delay": _natural("shutdown_delay"),
}

HIDDEN = {"VM.set_NVRAM_EFI_variables": (["VM ref", "string"], "void", set_nvram_efi_variables)}
"""Calls that the datamodel does not show: parameter types, result type, handler."""
