"""The record that a target VM is created from, out of its source's. Pure: what travels, what stays, and what is left off."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.model.api_versions import OF_8_0, ApiVersion
from xo_warmig.model.vm import Vm
from xo_warmig.xapi.builds import CPU_MASK
from xo_warmig.xapi.objects import NULL, tags, without_book_keeping
from xo_warmig.xapi.records import API_VERSION

AUTO_POWERON = "auto_poweron"
TARGET_ROLE = "target"
TIME_OFFSET = "timeoffset"

# VM.create has no default for these; they travel as they are.
_MANDATORY: Mapping[str, Any] = {
    "user_version": "0",
    "memory_static_max": "0",
    "memory_dynamic_max": "0",
    "memory_dynamic_min": "0",
    "memory_static_min": "0",
    "VCPUs_params": {},
    "VCPUs_max": "1",
    "VCPUs_at_startup": "1",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_boot_policy": "",
    "HVM_boot_params": {},
    "PCI_bus": "",
    "recommendations": "",
}
# These travel when the source knows them; a pool that is older than a field ignores it.
_OPTIONAL = (
    "tags",
    "start_delay",
    "shutdown_delay",
    "order",
    "version",
    "generation_id",
    "hardware_platform_version",
    "reference_label",
    "domain_type",
    "NVRAM",
    "actions_after_softreboot",
)
# Keys of other_config that speak of the source's pool, or of a host's devices.
_FOREIGN_KEYS = frozenset(
    {
        "default_template",
        "xensource_internal",
        "import_task",
        "last_shutdown_action",
        "last_shutdown_initiator",
        "last_shutdown_reason",
        "last_shutdown_time",
        "pci",
        "vgpu_pci",
        AUTO_POWERON,
    }
)
_INTEGERS = frozenset({"start_delay", "shutdown_delay", "order", "version", "hardware_platform_version"})
# xapi from 8.0 on refuses the old device model for UEFI guests, and replaces it for others.
_NO_TRADITIONAL_QEMU_SINCE = OF_8_0


def vm_record(source: Vm, *, migration: str, epoch: int, api_version: ApiVersion) -> dict[str, Any]:
    """The argument of ``VM.create``: a template (R1), HA and auto-power-on off (R13), nothing that refers to the source's pool.

    ``api_version`` is the target's. ``VM.create`` ignores blocked operations, so there are none here.
    """
    metadata = source.metadata
    record = {field: _wire(metadata.get(field, default)) for field, default in _MANDATORY.items()}
    record |= {
        field: _wire(metadata[field], integer=field in _INTEGERS)
        for field in _OPTIONAL
        if metadata.get(field) is not None
    }
    record["VCPUs_params"] = {key: text for key, text in record["VCPUs_params"].items() if key != CPU_MASK}
    record |= {
        "name_label": source.name_label,
        "name_description": metadata.get("name_description", ""),
        "is_a_template": True,
        "affinity": NULL,
        "platform": platform_for(metadata, api_version),
        "other_config": other_config_for(source) | tags(migration=migration, role=TARGET_ROLE, epoch=epoch),
        "xenstore_data": vm_data(metadata.get("xenstore_data", {})),
        "ha_always_run": False,
        "ha_restart_priority": "",
        "has_vendor_device": bool(metadata.get("has_vendor_device", False)),  # XAPI's default is true
    }
    if float(metadata.get("HVM_shadow_multiplier", 1.0)) != 1.0:
        record["HVM_shadow_multiplier"] = float(metadata["HVM_shadow_multiplier"])
    return record


def platform_for(metadata: Mapping[str, Any], api_version: ApiVersion) -> dict[str, str]:
    """The platform without what the target finds out itself; the time's offset travels with the volatile state.

    A device model is kept where the target knows it and starts the VM with it, as another one gives the guest other devices.
    """
    platform = dict(metadata.get("platform", {}))
    platform.pop("featureset", None)
    platform.pop(TIME_OFFSET, None)
    model = platform.get("device-model", "")
    traditional = model.startswith("qemu-trad") and api_version >= _NO_TRADITIONAL_QEMU_SINCE
    boots_by_uefi = metadata.get("HVM_boot_params", {}).get("firmware", "").lower() == "uefi"
    # Of a VM that was changed to boot by BIOS: no start since 8.0 (ocaml/xapi/vm_platform.ml of xapi).
    of_uefi = model == "qemu-upstream-uefi" and not boots_by_uefi
    if api_version < source_api_version(metadata) or traditional or of_uefi:
        platform.pop("device-model", None)
    return platform


def source_api_version(metadata: Mapping[str, Any]) -> ApiVersion:
    """That of the pool which the metadata is from."""
    major, _, minor = str(metadata.get(API_VERSION, "0.0")).partition(".")
    return int(major), int(minor)


def other_config_for(source: Vm) -> dict[str, str]:
    """``mac_seed`` stays: generated MACs, of VIFs added later too, come from it."""
    return {key: text for key, text in without_book_keeping(source.other_config).items() if key not in _FOREIGN_KEYS}


def vm_data(xenstore_data: Mapping[str, str]) -> dict[str, str]:
    """What users put there for the guest; the rest is the toolstack's own."""
    return {key: text for key, text in xenstore_data.items() if key == "vm-data" or key.startswith("vm-data/")}


def _wire(value: Any, *, integer: bool = False) -> Any:
    """Integers go as text over XML-RPC."""
    return str(value) if integer or (isinstance(value, int) and not isinstance(value, bool)) else value
