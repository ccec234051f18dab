"""A VM that has of everything that its release lets a VM have, so that what is lost of it shows. Pure."""

from typing import Any

from tests.matrix.combinations import RELEASES, Combination, release_of
from xo_warmig.model.units import MIB
from xo_warmig.simulator.calls.bios import generic
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VifConfig, VmConfig

DISK_BYTES = 8 * MIB
_BIOS_STRINGS = {
    "bios-vendor": "Dell Inc.",
    "system-manufacturer": "Dell Inc.",
    "system-product-name": "PowerEdge R640",
    "system-serial-number": "ds=nocloud;s=http://192.0.2.1/",
    "enclosure-asset-tag": "rack-7",
    "baseboard-product-name": "0H28RR",
}
_CLOCK = "3600"  # seconds


def bios_strings_of(release: str) -> dict[str, str]:
    """All that VMs of the release have, as a host's that was made by the same maker."""
    known = generic(release)
    return known | {key: text for key, text in _BIOS_STRINGS.items() if key in known}


def vm_of(combination: Combination) -> VmConfig:
    """Of that kind, with that firmware and so many disks, as full as the source's release allows."""
    release = release_of(combination.source)
    return VmConfig(
        name_label="matrix",
        name_description="a VM of all kinds",
        kind=combination.kind,
        firmware=combination.firmware,
        memory_bytes=256 * MIB,
        dynamic_min_bytes=128 * MIB,
        vcpus=4,
        disks=[_disk(position) for position in range(combination.disks)],
        vifs=2,
        interfaces=_interfaces(release),
        tags=["matrix", "prod"],
        platform={"cores-per-socket": "2", "timeoffset": _CLOCK, "viridian": "true", "videoram": "8"},
        secure_boot=combination.firmware == "uefi",
        vtpm=combination.firmware == "uefi" and release == "8.3",
        other_config=_OTHER_CONFIG,
        xenstore_data={"vm-data/role": "web"},
        NVRAM={"EFI-variables": "dmFyaWFibGVz"} if combination.firmware == "uefi" else {},
        bios_strings=bios_strings_of(release),
        fields=_fields(combination),
        guest=GuestConfig(kind="blocks", rate=MIB, span=2 * MIB, disks=list(range(combination.disks))),
    )


_OTHER_CONFIG = {
    "base_template_name": "Debian",
    "XenCenter.CustomFields.owner": "ops",
    "auto_poweron": "true",
    "xo:backup:job": "job-1",
    "xo:base_delta": "base-1",
}


def _fields(combination: Combination) -> dict[str, Any]:
    """Of its record, by XAPI's names."""
    fields: dict[str, Any] = {
        "user_version": 3,
        "version": 7,
        "VCPUs_params": {"weight": "512", "cap": "50", "mask": "0,1,2"},
        "VCPUs_at_startup": 2,
        "actions_after_reboot": "destroy",
        "actions_after_crash": "preserve",
        "ha_restart_priority": "best-effort",
        "order": 3,
        "start_delay": 5,
        "shutdown_delay": 7,
        "generation_id": "5:7",
        "recommendations": "<restrictions/>",
        "PCI_bus": "",
    }
    if combination.kind == "hvm":
        fields["HVM_shadow_multiplier"] = 1.5
    if RELEASES.index(combination.source) >= RELEASES.index("7.1"):
        fields |= {"has_vendor_device": True, "reference_label": "debian-12", "hardware_platform_version": 2}
    return fields


def _interfaces(release: str) -> list[VifConfig]:
    """One that is locked, and one whose address the pool gives, which came after 6.5."""
    locked = VifConfig(
        locking_mode="locked",
        ipv4_allowed=["192.0.2.7"],
        ipv6_allowed=["2001:db8::7"],
        other_config={"ethtool-gso": "off"},
    )
    return [locked] if release == "6.5" else [locked, VifConfig(ipv4_address="192.0.2.8/24", ipv4_gateway="192.0.2.1")]


def _disk(position: int) -> DiskConfig:
    """One of them is cached on its host."""
    return DiskConfig(
        size_bytes=DISK_BYTES,
        allocated_bytes=2 * MIB,
        sr=position % 2,
        name_label=f"disk {position}",
        name_description="of the matrix",
        tags=["data"],
        other_config={"ours": "stays", "xo:base_delta_vdi": "base-1"},
        allow_caching=position == 0,
    )
