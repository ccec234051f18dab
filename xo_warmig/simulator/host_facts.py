"""What a simulated host says about itself: processor, versions, licence. Two vendors, so that no running VM moves between them."""

from collections.abc import Mapping

CPU_COUNT = 8

_FEATURES = {
    "GenuineIntel": "1fcbfbff-f7fa3223-2d93fbff-00000523-0000000f-239c07eb-0000000c-00000000-00001000-ac000400-00000000-00000000",
    "AuthenticAMD": "178bfbff-f6d83203-2e500800-040001f3-0000000f-219c07a9-0040060c-00000000-311ed005-00000010-00000000-00000000",
}
_MODELS = {
    "GenuineIntel": ("Intel(R) Xeon(R) Gold 6242 CPU @ 2.80GHz", "6", "85", "7"),
    "AuthenticAMD": ("AMD EPYC 7443P 24-Core Processor", "25", "1", "1"),
}
_FLAGS = "fpu de tsc msr pae mce cx8 apic sep mca cmov pat clflush acpi mmx fxsr sse sse2 ht nx"

CAPABILITIES = ["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64"]

_RESTRICTIONS = [
    "vlan",
    "qos",
    "pool_attached_storage",
    "netapp",
    "equalogic",
    "pooling",
    "marathon",
    "email_alerting",
    "historical_performance",
    "wlb",
    "rbac",
    "dmc",
    "checkpoint",
    "cpu_masking",
    "connection",
    "vmpr",
    "vmss",
    "intellicache",
    "gpu",
    "dr",
    "vif_locking",
    "storage_xen_motion",
    "vgpu",
    "integrated_gpu_passthrough",
    "vss",
    "guest_agent_auto_update",
    "pci_device_for_auto_update",
    "xen_motion",
    "guest_ip_setting",
    "ad",
    "nested_virt",
    "live_patching",
    "set_vcpus_number_live",
    "pvs_proxy",
    "igmp_snooping",
    "rpu",
    "pool_size",
    "cbt",
    "usb_passthrough",
    "network_sriov",
    "corosync",
    "cluster_address",
    "zstd_export",
    "pool_secret_rotation",
    "certificate_verification",
    "updates",
    "internal_repo_access",
    "vtpm",
    "vm_groups",
    "vm_start",
    "vm_appliance_start",
]
RESTRICTIONS = {f"restrict_{name}": "false" for name in _RESTRICTIONS} | {
    "enable_xha": "true",
    "platform_filter": "false",
    "regular_nag_dialog": "false",
}

_VERSIONS = {
    "8.3": {
        "product_version": "8.3.0",
        "product_version_text": "8.3",
        "product_version_text_short": "8.3",
        "platform_name": "XCP",
        "platform_version": "3.4.0",
        "product_brand": "XCP-ng",
        "build_number": "cloud",
        "hostname": "localhost",
        "date": "20241007T00:00:00Z",
        "dbv": "0.0.1",
        "xapi": "25.33",
        "xapi_build": "25.33.1",
        "xen": "4.17.5-15",
        "linux": "4.19.0+1",
        "xencenter_min": "2.21",
        "xencenter_max": "2.21",
        "network_backend": "openvswitch",
        "db_schema": "5.792",
    }
}
API_VERSIONS = {"8.3": (2, 21)}


def releases() -> list[str]:
    """The releases that a pool can be of."""
    return list(_VERSIONS)


def software_version(release: str) -> Mapping[str, str]:
    return _VERSIONS[release]


def features(vendor: str) -> str:
    """The processor's features as a VM sees them."""
    return _FEATURES[vendor]


def cpu_info(vendor: str) -> dict[str, str]:
    """``host.cpu_info``."""
    modelname, family, model, stepping = _MODELS[vendor]
    words = dict.fromkeys(("features_pv", "features_hvm", "features_pv_host", "features_hvm_host"), _FEATURES[vendor])
    return {
        "cpu_count": str(CPU_COUNT),
        "socket_count": "1",
        "threads_per_core": "2",
        "nr_nodes": "1",
        "vendor": vendor,
        "speed": "2800.000",
        "modelname": modelname,
        "family": family,
        "model": model,
        "stepping": stepping,
        "flags": _FLAGS,
    } | words


def host_cpu(vendor: str, number: int) -> dict[str, object]:
    """A ``host_cpu`` record's fields."""
    modelname, family, model, stepping = _MODELS[vendor]
    numbers = {"number": number, "speed": 2800, "family": int(family), "model": int(model)}
    return numbers | {"vendor": vendor, "modelname": modelname, "stepping": stepping, "flags": _FLAGS}
