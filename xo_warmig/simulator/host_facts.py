"""What a simulated host says about itself: processor, versions, licence. Two vendors, so that no running VM moves between them."""

from collections.abc import Mapping
from typing import NamedTuple

from xo_warmig.simulator.release import NEWEST, at_least

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

# Keys of features by the release that came to restrict them (features.ml of xapi at the releases' tags).
_RESTRICTIONS = {
    "6.5": """vlan qos pool_attached_storage netapp equalogic pooling marathon email_alerting historical_performance wlb rbac dmc checkpoint
        cpu_masking connection vmpr intellicache gpu dr vif_locking storage_xen_motion vgpu""",
    "7.1": """integrated_gpu_passthrough vss guest_agent_auto_update pci_device_for_auto_update xen_motion guest_ip_setting ad
        ssl_legacy_switch nested_virt live_patching set_vcpus_number_live pvs_proxy""",
    "7.6": "vmss igmp_snooping rpu pool_size cbt usb_passthrough network_sriov corosync",
    "8.2": "zstd_export",
    "8.3": """cluster_address pool_secret_rotation certificate_verification updates internal_repo_access vtpm vm_groups vm_start
        vm_appliance_start""",
}
_NO_LONGER = {"8.2": "ssl_legacy_switch"}
_OTHERS = {"enable_xha": "true", "platform_filter": "false", "regular_nag_dialog": "false"}


def restrictions(release: str = NEWEST) -> dict[str, str]:
    """``pool.restrictions`` of a licence that restricts nothing."""
    came = " ".join(keys for since, keys in _RESTRICTIONS.items() if at_least(release, since)).split()
    gone = " ".join(keys for since, keys in _NO_LONGER.items() if at_least(release, since)).split()
    return {f"restrict_{key}": "false" for key in came if key not in gone} | _OTHERS


def edition(release: str) -> str:
    """Of a host: XenServer's is the one without a licence."""
    return "free" if _VERSIONS[release].brand == "XenServer" else "xcp-ng"


class _Version(NamedTuple):
    """Of a release: what its hosts say of themselves. ``api``: the API's major and minor."""

    product: str
    brand: str
    platform: str
    xapi: str
    xen: str
    linux: str
    api: tuple[int, int]


# Products, APIs and xapi's tags by reference xapi.md, section 0; the rest is of that time.
_VERSIONS = {
    "6.5": _Version("6.5.0", "XenServer", "1.9.0", "1.3", "4.4.1-xs88306", "3.10.0+2", (2, 3)),
    "7.1": _Version("7.1.0", "XenServer", "2.2.0", "1.14", "4.7.1-1.26", "4.4.0+10", (2, 6)),
    "7.6": _Version("7.6.0", "XCP-ng", "2.7.0", "1.110", "4.7.6-6.3", "4.4.0+10", (2, 11)),
    "8.0": _Version("8.0.0", "XCP-ng", "3.0.0", "1.160", "4.11.1-7.6", "4.19.0+1", (2, 12)),
    "8.2": _Version("8.2.1", "XCP-ng", "3.2.1", "1.249", "4.13.5-9.31", "4.19.0+1", (2, 15)),
    "8.3": _Version("8.3.0", "XCP-ng", "3.4.0", "25.33", "4.17.5-15", "4.19.0+1", (2, 21)),
}


def api_version(release: str) -> tuple[int, int]:
    """Major and minor."""
    return _VERSIONS[release].api


def software_version(release: str) -> Mapping[str, str]:
    """``host.software_version``, but the host's name."""
    version = _VERSIONS[release]
    short = version.product.rpartition(".")[0]
    return {
        "product_version": version.product,
        "product_version_text": short,
        "product_version_text_short": short,
        "platform_name": "XCP",
        "platform_version": version.platform,
        "product_brand": version.brand,
        "build_number": "cloud",
        "hostname": "localhost",
        "date": "20241007T00:00:00Z",
        "dbv": "0.0.1",
        "xapi": version.xapi,
        "xapi_build": f"{version.xapi}.1",
        "xen": version.xen,
        "linux": version.linux,
        "xencenter_min": "2.21",
        "xencenter_max": "2.21",
        "network_backend": "openvswitch",
        "db_schema": "5.792",
    }


def features(vendor: str) -> str:
    """The processor's features as a VM sees them."""
    return _FEATURES[vendor]


def cpu_info(vendor: str, release: str = NEWEST) -> dict[str, str]:
    """``host.cpu_info``. 6.5 has one word of features, and how they are masked, where later releases have them by kind of guest."""
    modelname, family, model, stepping = _MODELS[vendor]
    if at_least(release, "7.1"):
        kinds = ["features_pv", "features_hvm", "features_pv_host", "features_hvm_host"]
        words = {"threads_per_core": "2", "nr_nodes": "1"} | dict.fromkeys(kinds, _FEATURES[vendor])
    else:
        kinds = ["features", "features_after_reboot", "physical_features"]
        words = {"maskable": "full"} | dict.fromkeys(kinds, _FEATURES[vendor][: len("00000000-" * 4) - 1])
    return {
        "cpu_count": str(CPU_COUNT),
        "socket_count": "1",
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
