"""What snapshots, checkpoints, clones and copies of a VM have in common: disks first, then the record, then its devices."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls import disks, guest_tools, lifecycle, vif, vtpm
from xo_warmig.simulator.calls.metadata_text import metadata_text
from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.calls.operations import refresh, refresh_around
from xo_warmig.simulator.calls.vm_identity import fresh_generation_id
from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

KEPT = names(
    """name_description user_version affinity memory_overhead memory_target memory_static_max memory_dynamic_max memory_dynamic_min
    memory_static_min VCPUs_params VCPUs_max VCPUs_at_startup actions_after_softreboot actions_after_shutdown
    actions_after_reboot actions_after_crash PV_bootloader PV_kernel PV_ramdisk PV_args PV_bootloader_args PV_legacy_args
    HVM_boot_policy HVM_boot_params HVM_shadow_multiplier platform PCI_bus last_boot_CPU_flags is_control_domain
    last_booted_record recommendations xenstore_data ha_restart_priority tags bios_strings hardware_platform_version
    has_vendor_device reference_label domain_type NVRAM"""
)
"""Fields that a copy of a VM has as the VM has them."""

_INTERNAL = ("default_template", "xensource_internal")
_VBD_KEPT = names(
    """userdevice device bootable mode type unpluggable other_config qos_algorithm_type qos_algorithm_params currently_attached"""
)


def copy_vm(
    call: "Call", vm: str, name: str, copy_disk: Callable[[str], str], *, snapshot: bool, skip: tuple[str, ...] = ()
) -> str:
    """The copy, with disks made by ``copy_disk``, one after the other; on failure those that were made go again."""
    db = call.pool.db
    vbds = [vbd for vbd in db.field("VM", vm, "VBDs") if db.row("VBD", vbd)["VDI"] not in skip]
    made = copy_disks(call, vbds, copy_disk)
    with db.lock:
        ref = _record(db, vm, name, snapshot=snapshot)
        for vbd, vdi in made.items():
            copy_vbd(db, vbd, ref, vdi)
        for interface in db.field("VM", vm, "VIFs"):
            vif.copy_to(db, interface, ref, keep_mac=snapshot)
        for chip in db.field("VM", vm, "VTPMs"):
            vtpm.copy_to(db, chip, ref)
        if snapshot:
            db.set("VM", vm, parent=ref)
        refresh_around(db, "VM", ref)
    return ref


def copy_disks(call: "Call", vbds: list[str], copy_disk: Callable[[str], str]) -> dict[str, str]:
    """The VDI for the copy of each VBD: the same for a CD, none for an empty drive, else a new one."""
    db, made = call.pool.db, dict[str, str]()
    try:
        for number, vbd in enumerate(vbds):
            row = db.row("VBD", vbd)
            vdi = NULL if row["empty"] else row["VDI"]
            made[vbd] = vdi if vdi == NULL or row["type"] == "CD" else copy_disk(vdi)
            call.progress(0.7 * (number + 1) / len(vbds))
    except BaseException:
        for vbd, vdi in made.items():
            if vdi != NULL and db.row("VBD", vbd)["type"] != "CD":
                with contextlib.suppress(XapiFailure):
                    disks.destroy(call, vdi)
        raise
    return made


def copy_vbd(db: "Database", vbd: str, vm: str, vdi: str) -> str:
    """The same VBD for another VM and disk, which counts as that VM's own."""
    row = db.get("VBD", vbd)
    fields: dict[str, Any] = {name: row[name] for name in _VBD_KEPT}
    fields["currently_attached"] = False
    if row["type"] == "Disk":
        fields["other_config"] = {"owner": ""} | row["other_config"]
    ref = db.create("VBD", VM=vm, VDI=vdi, empty=vdi == NULL, **fields)
    refresh(db, "VBD", ref)
    return ref


def _record(db: "Database", vm: str, name: str, *, snapshot: bool) -> str:
    row = db.get("VM", vm)
    fields = {field: row[field] for field in KEPT}
    fields |= {
        "name_label": name,
        "power_state": lifecycle.HALTED,
        "domid": -1,
        "is_a_template": snapshot or row["is_a_template"],
        "is_a_snapshot": snapshot,
        "other_config": _other_config(db, row, snapshot=snapshot),
        "generation_id": fresh_generation_id(db, row["generation_id"]),
        "metrics": _metrics(db, row),
        "guest_metrics": guest_tools.copy(db, vm),
    }
    if snapshot:
        fields |= {
            "snapshot_of": vm,
            "snapshot_time": now(),
            "snapshot_info": {"disk-snapshot-type": "crash_consistent", "power-state-at-snapshot": row["power_state"]},
            "snapshot_metadata": metadata_text(vm, row),
            "parent": row["parent"],
        }
    return db.create("VM", **fields)


def _other_config(db: "Database", row: dict[str, Any], *, snapshot: bool) -> dict[str, str]:
    """A snapshot keeps the seed of the MAC addresses, any other copy gets its own."""
    kept = {key: text for key, text in row["other_config"].items() if key not in _INTERNAL}
    if not snapshot:
        kept["mac_seed"] = db.new_uuid()
    if row["is_a_template"]:
        kept.setdefault("base_template_name", row["name_label"])
    return kept


def _metrics(db: "Database", row: dict[str, Any]) -> str:
    if not db.exists("VM_metrics", row["metrics"]):
        return db.create("VM_metrics", hvm=row["domain_type"] == "hvm", current_domain_type=row["domain_type"])
    return db.create("VM_metrics", **{k: v for k, v in db.get("VM_metrics", row["metrics"]).items() if k != "uuid"})
