"""How a VM is built and what ties it to its pool, out of its record. Pure; fields that a release does not have count as not set."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.model.vm import Build, Ties
from xo_warmig.xapi.objects import exists

_PCI_KEYS = ("pci", "vgpu_pci")


def build_from(record: Mapping[str, Any]) -> Build:
    """Before 7.4 there is no ``domain_type``: then a boot policy means HVM."""
    kind = record.get("domain_type", "unspecified")
    strings = record.get("bios_strings", {})
    return Build(
        firmware=record.get("HVM_boot_params", {}).get("firmware", "bios").lower(),
        secure_boot=record.get("platform", {}).get("secureboot", "").lower() == "true",
        domain_type=("hvm" if record.get("HVM_boot_policy") else "pv") if kind == "unspecified" else kind,
        hardware_version=int(record.get("hardware_platform_version", 0)),
        memory_start_bytes=int(record.get("memory_dynamic_min", 0)),
        vcpus=int(record.get("VCPUs_max", 0)),
        own_bios_strings=strings.get("bios-vendor", "Xen") != "Xen",
        vendor_device=bool(record.get("has_vendor_device", False)),
    )


def ties_from(record: Mapping[str, Any]) -> Ties:
    """``other_config`` names PCI devices as ``0/0000:04:00.0,...``."""
    other_config = record["other_config"]
    devices = [device for key in _PCI_KEYS for device in other_config.get(key, "").split(",") if device]
    return Ties(
        pci=devices,
        vgpus=len(record.get("VGPUs", [])),
        vusbs=len(record.get("VUSBs", [])),
        affinity=exists(record.get("affinity")),
        appliance=exists(record.get("appliance")),
        groups=len(record.get("groups", [])),
        snapshot_schedule=exists(record.get("snapshot_schedule")),
    )
