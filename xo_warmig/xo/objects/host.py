"""Hosts."""

import re
from typing import Any, Final

from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.records import Record
from xo_warmig.xo.objects.releases import is_at_least
from xo_warmig.xo.objects.subject import Subject, XoObject, defined, links
from xo_warmig.xo.objects.times import seconds

_GIB: Final = 1 << 30
_PACK: Final = re.compile(r"([^:]*):([^:]*)")


def host(of: Subject) -> XoObject:
    """A host."""
    other_config = of.map("other_config")
    return {
        **_identity(of),
        **_power(of),
        "chipset_info": _chipset(of),
        "cpus": cpus(of),
        "CPUs": of.map("cpu_info"),
        "iscsiIqn": of.record.get("iscsi_iqn", other_config.get("iscsi_iqn", "")),
        "logging": of.map("logging"),
        "multipathing": other_config.get("multipathing") == "true",
        "otherConfig": other_config,
        "controlDomain": of.link("control_domain", "VM"),
        "residentVms": of.links("resident_VMs", "VM"),
        "certificates": _certificates(of),
        **_licence(of),
        **_software(of),
        **_parts(of),
    }


def cpus(of: Subject) -> XoObject:
    """Cores and sockets of a host or a pool; releases that do not say are silent."""
    info = of.record.get("cpu_info")
    return {} if not info else {"cores": number(info.get("cpu_count")), "sockets": number(info.get("socket_count"))}


def _identity(of: Subject) -> XoObject:
    return {
        "address": of.field("address"),
        "bios_strings": of.map("bios_strings"),
        "current_operations": of.map("current_operations"),
        "hostname": of.field("hostname"),
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "tags": of.items("tags"),
    }


def _power(of: Subject) -> XoObject:
    metrics = of.of("metrics", "host_metrics")
    live = metrics is not None and bool(metrics["live"])
    return {
        "enabled": of.flag("enabled"),
        "memory": _memory(metrics),
        "powerOnMode": of.field("power_on_mode"),
        "power_state": "Unknown" if metrics is None else "Running" if live else "Halted",
        "startTime": seconds(of.map("other_config").get("boot_time")),
        "agentStartTime": seconds(of.map("other_config").get("agent_start_time")),
    }


def _memory(metrics: Record | None) -> XoObject:
    """Bytes. Xen keeps some from what it reports as the total, which is why XO rounds that up. A host that is down uses none."""
    if metrics is None:
        return {"usage": 0, "size": 0, "total": 0}
    size = -(-int(metrics["memory_total"]) // _GIB) * _GIB
    return {"usage": size - int(metrics["memory_free"]) if metrics["live"] else 0, "size": size}


def _chipset(of: Subject) -> XoObject:
    iommu = of.map("chipset_info").get("iommu")
    return {} if iommu is None else {"iommu": iommu == "true"}


def _licence(of: Subject) -> XoObject:
    params = of.map("license_params")
    return {
        "license_params": params,
        "license_server": of.map("license_server"),
        "license_expiry": seconds(params.get("expiry")),
        "zstdSupported": params.get("restrict_zstd_export") == "false",
    }


def _software(of: Subject) -> XoObject:
    version = of.map("software_version")
    return {
        "build": version.get("build_number", UNSET),
        "version": version.get("product_version", UNSET),
        "productBrand": version.get("product_brand", UNSET),
        "patches": of.links("patches", "host_patch"),
        "supplementalPacks": _packs(of),
        "rebootRequired": _needs_reboot(of),
        "hvmCapable": any(capability.startswith("hvm") for capability in of.items("capabilities")),
    }


def _needs_reboot(of: Subject) -> bool:
    if of.map("software_version").get("product_brand") != "XCP-ng":
        return bool(of.items("updates_requiring_reboot"))
    booted = seconds(of.map("other_config").get("boot_time")) or 0
    patched = number(of.map("other_config").get("rpm_patch_installation_time", UNSET))
    return patched is not None and booted < patched


def _packs(of: Subject) -> list[XoObject]:
    """Packs are updates since 7.1, and before that lines among the versions: ``author:name`` with ``description, version 1.0``."""
    if is_at_least(of.map("software_version").get("platform_version"), (2, 1, 1)):
        updates = of.every("updates", "pool_update")
        return [_pack(of, update) for update in updates if not update["name_label"].startswith("XS")]
    found = []
    for key, text in of.map("software_version").items():
        if named := _PACK.fullmatch(key):
            description, _, version = text.partition(", ")
            words = version.split(" ")
            pack = {
                "name": named[2],
                "description": description,
                "author": named[1],
                "version": words[1] if len(words) > 1 else UNSET,
            }
            found.append(defined(pack))
    return found


def _pack(of: Subject, update: Record) -> XoObject:
    key = update["key"].split("-")
    return defined(
        {
            "name": update["name_label"],
            "description": update["name_description"],
            "author": key[3] if len(key) > 3 else UNSET,
            "version": update["version"],
            "guidance": update["after_apply_guidance"],
            "hosts": links(of.pool, "host", update["hosts"]),
            "vdi": Subject("pool_update", "", update, of.pool).link("vdi", "VDI"),
            "size": number(update["installation_size"]),
        }
    )


def _certificates(of: Subject) -> Any:
    """Of releases that have them."""
    if "certificates" not in of.record:
        return UNSET
    return [
        {"fingerprint": one["fingerprint"], "notAfter": seconds(one["not_after"])}
        for one in of.every("certificates", "Certificate")
    ]


def _parts(of: Subject) -> XoObject:
    pifs, pcis, pgpus = of.links("PIFs", "PIF"), of.links("PCIs", "PCI"), of.links("PGPUs", "PGPU")
    return {
        "PIFs": pifs,
        "$PIFs": pifs,
        "PCIs": pcis,
        "$PCIs": pcis,
        "PGPUs": pgpus,
        "$PGPUs": pgpus,
        "$PBDs": of.links("PBDs", "PBD"),
    }
