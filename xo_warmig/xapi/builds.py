"""How a VM is built and what ties it to its pool, out of its record. Pure; fields that a release does not have count as not set."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.model.bios_strings import own_bios_strings
from xo_warmig.model.vm import Build, Ties
from xo_warmig.xapi.objects import exists

CPU_MASK = "mask"  # of VCPUs_params: "0,1,2", or that for each virtual one, separated by semicolons
_PCI_KEYS = ("pci", "vgpu_pci")


def build_from(record: Mapping[str, Any]) -> Build:
    """Before 7.4 there is no ``domain_type``: then a boot policy means HVM."""
    kind = record.get("domain_type", "unspecified")
    strings = own_bios_strings(record.get("bios_strings", {}))
    platform = record.get("platform", {})
    return Build(
        firmware=record.get("HVM_boot_params", {}).get("firmware", "bios").lower(),
        secure_boot=platform.get("secureboot", "").lower() == "true",
        secure_boot_auto=platform.get("secureboot", "") == "auto",
        domain_type=("hvm" if record.get("HVM_boot_policy") else "pv") if kind == "unspecified" else kind,
        hardware_version=int(record.get("hardware_platform_version", 0)),
        memory_start_bytes=int(record.get("memory_dynamic_min", 0)),
        vcpus=int(record.get("VCPUs_max", 0)),
        cores_per_socket=platform.get("cores-per-socket", ""),
        device_model=platform.get("device-model", ""),
        nested_virt=platform.get("nested-virt", "").lower() in ("1", "true"),
        bios_strings=strings.settable,
        fixed_bios_strings=strings.fixed,
        vendor_device=bool(record.get("has_vendor_device", False)),
    )


def ties_from(record: Mapping[str, Any]) -> Ties:
    """``other_config`` names PCI devices as ``0/0000:04:00.0,...``."""
    other_config = record["other_config"]
    devices = [device for key in _PCI_KEYS for device in other_config.get(key, "").split(",") if device]
    return Ties(
        pci=devices,
        cpu_mask=record.get("VCPUs_params", {}).get(CPU_MASK, ""),
        vgpus=len(record.get("VGPUs", [])),
        vusbs=len(record.get("VUSBs", [])),
        affinity=exists(record.get("affinity")),
        appliance=exists(record.get("appliance")),
        groups=len(record.get("groups", [])),
        snapshot_schedule=exists(record.get("snapshot_schedule")),
    )
