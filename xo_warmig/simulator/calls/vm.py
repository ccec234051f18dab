"""Calls on VMs as records: create, destroy, what is allowed. Power, memory, snapshots and migration have modules of their own."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls import devices, licence, lifecycle, placement
from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around, require
from xo_warmig.simulator.calls.vm_identity import assert_vendor_device, device_model, domain_type
from xo_warmig.simulator.calls.vtpm import drop_contents
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

_SETTABLE = names(
    """name_label name_description user_version is_a_template affinity memory_target memory_static_max memory_dynamic_max
    memory_dynamic_min memory_static_min VCPUs_params VCPUs_max VCPUs_at_startup actions_after_softreboot actions_after_shutdown
    actions_after_reboot actions_after_crash PV_bootloader PV_kernel PV_ramdisk PV_args PV_bootloader_args PV_legacy_args
    HVM_boot_policy HVM_boot_params HVM_shadow_multiplier platform PCI_bus other_config recommendations xenstore_data
    ha_restart_priority tags protection_policy is_snapshot_from_vmpp snapshot_schedule is_vmss_snapshot appliance start_delay
    shutdown_delay order suspend_SR version generation_id hardware_platform_version has_vendor_device reference_label domain_type
    NVRAM last_boot_CPU_flags last_booted_record suspend_VDI"""
)
_ACROSS_SUSPENSION = ("last_boot_CPU_flags", "last_booted_record", "suspend_VDI")


def create(call: "Call", args: dict[str, Any]) -> str:
    """A halted VM without devices, or a suspended one when all that needs is given. uuid and blocked operations are ignored."""
    db = call.pool.db
    if args.get("has_vendor_device", True):
        assert_vendor_device(call.pool)
    state = args.get("power_state", lifecycle.HALTED)
    fields = {name: args[name] for name in _SETTABLE if name in args}
    suspended = state == lifecycle.SUSPENDED
    if suspended and any(not args.get(name) or args[name] == NULL for name in _ACROSS_SUSPENSION):
        raise lifecycle.bad_power_state(NULL, (lifecycle.HALTED,), state)
    if fields.get("appliance", NULL) != NULL and not db.exists("VM_appliance", fields["appliance"]):
        fields["appliance"] = NULL
    kind = domain_type(args.get("domain_type", "unspecified"), args["HVM_boot_policy"])
    fields |= {"domain_type": kind, "other_config": {"mac_seed": db.new_uuid()} | args["other_config"]}
    if not args["is_a_template"]:
        shape = {"domain_type": kind, "platform": args["platform"], "HVM_boot_params": args["HVM_boot_params"]}
        fields["platform"] = device_model(shape, call.pool.release) | args["platform"]
    with db.lock:
        metrics = db.create("VM_metrics", hvm=kind == "hvm", current_domain_type=kind)
        power_state = lifecycle.SUSPENDED if suspended else lifecycle.HALTED
        vm = db.create("VM", power_state=power_state, domid=-1, metrics=metrics, **fields)
        db.set("VM", vm, memory_overhead=placement.overhead_bytes(db.row("VM", vm)))
        refresh_around(db, "VM", vm)
    return vm


def destroy(call: "Call", vm: str) -> None:
    """The record with its VBDs, VIFs, VTPMs and metrics. Disks stay; snapshots hang on what the VM hung on."""
    db = call.pool.db
    if lifecycle.is_default_template(db.row("VM", vm)):
        raise XapiFailure("VM_CANNOT_DELETE_DEFAULT_TEMPLATE")
    with doing(call, Hold("VM", vm, "destroy")), db.lock:
        remove(db, vm)


def remove(db: "Database", vm: str) -> None:
    """Delete a VM's record and those that exist for it alone."""
    with db.lock:
        row = db.row("VM", vm)
        vdis = [db.row("VBD", vbd)["VDI"] for vbd in row["VBDs"] if db.exists("VBD", vbd)]
        for child in row["children"]:
            db.set("VM", child, parent=row["parent"])
        for vtpm in row["VTPMs"]:
            drop_contents(db, vtpm)
        for cls, field in (("VBD", "VBDs"), ("VIF", "VIFs"), ("VTPM", "VTPMs"), ("VGPU", "VGPUs"), ("VUSB", "VUSBs")):
            for ref in row[field]:
                if db.exists(cls, ref):
                    db.delete(cls, ref)
        for cls, field in (("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")):
            if db.exists(cls, row[field]):
                db.delete(cls, row[field])
        for console in row["consoles"]:
            db.delete("console", console)
        db.delete("VM", vm)
        for vdi in vdis:
            refresh_around(db, "VDI", vdi)


def update_allowed_operations(call: "Call", vm: str) -> None:
    call.pool.db.row("VM", vm)
    refresh_around(call.pool.db, "VM", vm)


def assert_operation_valid(call: "Call", vm: str, op: str) -> None:
    """Raises what speaks against the operation now."""
    require(call.pool.db, Hold("VM", vm, op))


def get_allowed_vbd_devices(call: "Call", vm: str) -> list[str]:
    return devices.free_disks(call.pool, vm)


def get_allowed_vif_devices(call: "Call", vm: str) -> list[str]:
    return devices.free_vifs(call.pool, vm)


def get_possible_hosts(call: "Call", vm: str) -> list[str]:
    call.pool.db.row("VM", vm)
    return placement.possible_hosts(call.pool.db, vm)


def assert_can_boot_here(call: "Call", vm: str, host: str) -> None:
    if call.pool.db.row("VM", vm)["power_state"] == "Halted":
        licence.assert_enabled(call.pool, "VM_start")
    placement.assert_can_boot(call.pool.db, vm, host)


def get_boot_record(call: "Call", vm: str) -> dict[str, Any]:
    return call.pool.db.get("VM", vm)


def get_cooperative(call: "Call", vm: str) -> bool:
    """Guests of this pool always do with their memory what they are told."""
    call.pool.db.row("VM", vm)
    return True


CALLS = {
    "VM.create": create,
    "VM.destroy": destroy,
    "VM.update_allowed_operations": update_allowed_operations,
    "VM.assert_operation_valid": assert_operation_valid,
    "VM.get_allowed_VBD_devices": get_allowed_vbd_devices,
    "VM.get_allowed_VIF_devices": get_allowed_vif_devices,
    "VM.get_possible_hosts": get_possible_hosts,
    "VM.assert_can_boot_here": assert_can_boot_here,
    "VM.get_boot_record": get_boot_record,
    "VM.get_cooperative": get_cooperative,
}
