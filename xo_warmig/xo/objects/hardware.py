"""What a VM is made of, as it or its settings say."""

from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.releases import is_at_least
from xo_warmig.xo.objects.subject import Subject, XoObject
from xo_warmig.xo.objects.tools import is_running, memory, xen_tools
from xo_warmig.xo.objects.xml_maps import as_list, within, xml_map


def hardware(of: Subject) -> XoObject:
    """CPUs, memory, firmware and platform."""
    platform, params = of.map("platform"), of.map("VCPUs_params")
    pci, mask = of.map("other_config").get("pci"), params.get("mask")
    mode = _virtualization_mode(of)
    return {
        "attachedPcis": UNSET if pci is None else [_after_slash(one) for one in pci.split(",")],
        "bios_strings": of.map("bios_strings"),
        "boot": of.map("HVM_boot_params"),
        "CPUs": {"max": of.number("VCPUs_max"), "number": _cpus(of)},
        "cpuCap": number(params["cap"]) if "cap" in params else UNSET,
        "cpuMask": UNSET if mask is None else [number(one) for one in mask.split(",")],
        "cpuWeight": number(params["weight"]) if "weight" in params else UNSET,
        "coresPerSocket": number(platform["cores-per-socket"]) if "cores-per-socket" in platform else UNSET,
        "hasVendorDevice": of.field("has_vendor_device"),
        "isFirmwareSupported": _supports_firmware(of),
        "memory": memory(of),
        "nicType": platform.get("nic_type", UNSET),
        "virtualizationMode": mode,
        "PV_args": of.field("PV_args") if mode != "hvm" else UNSET,
        "vga": platform.get("vga", "cirrus") if mode == "hvm" else UNSET,
        "videoram": number(platform.get("videoram", "4")) if mode == "hvm" else UNSET,
        **_features(of),
    }


def _features(of: Subject) -> XoObject:
    platform = of.map("platform")
    version = of.pool.master.get("software_version", {}).get("platform_version")
    return {
        "expNestedHvm": platform.get("exp-nested-hvm") == "true",
        "isNestedVirtEnabled": platform.get("nested-virt" if is_at_least(version, (3, 4)) else "exp-nested-hvm")
        == "true",
        "needsVtpm": platform.get("vtpm") == "true",
        "secureBoot": platform.get("secureboot") == "true",
        "viridian": platform.get("viridian") == "true",
    }


def _cpus(of: Subject) -> int | float | None:
    """How many it has, where tools can tell; else how many it starts with."""
    metrics = of.of("metrics", "VM_metrics")
    if is_running(of) and metrics is not None and xen_tools(of):
        return number(metrics["VCPUs_number"])
    return of.number("VCPUs_at_startup")


def _virtualization_mode(of: Subject) -> str:
    """Releases before 7.5 do not name it, and some do not find it out."""
    mode: str = of.record.get("domain_type", "unspecified")
    if mode != "unspecified":
        return mode
    return "hvm" if of.record.get("HVM_boot_policy") else "pv"


def _supports_firmware(of: Subject) -> bool:
    """Unless the recommendations say that it does not."""
    recommended = of.record.get("recommendations") or ""
    field = f"supports-{of.map('HVM_boot_params').get('firmware')}"
    if field not in recommended:
        return True
    restrictions = as_list(within(xml_map(recommended), "restrictions", "restriction"))
    found = [one.get("value") for one in restrictions if isinstance(one, dict) and one.get("field") == field]
    return not found or found[0] != "no"


def _after_slash(text: str) -> str | None:
    _, slash, address = text.partition("/")
    return address.partition("/")[0] if slash else None
