"""Processors: what a VM was last booted with, and whether a running one could go on elsewhere. After ocaml/xapi/cpuid_helpers.ml."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.simulator.failure import XapiFailure


def boot_flags(vm: Mapping[str, Any], cpu_info: Mapping[str, str]) -> dict[str, str]:
    """``last_boot_CPU_flags`` of a VM that starts on a host with this processor."""
    return {"vendor": cpu_info.get("vendor", ""), "features": cpu_info.get(_features_key(vm), "")}


def assert_compatible(vm_ref: str, vm: Mapping[str, Any], host_ref: str, cpu_info: Mapping[str, str]) -> None:
    """Raises VM_INCOMPATIBLE_WITH_THIS_HOST: another vendor, or features that the host lacks."""
    flags = vm["last_boot_CPU_flags"]
    if "vendor" not in flags:
        return
    if flags["vendor"] != cpu_info.get("vendor", ""):
        text = "VM last booted on a host which had a CPU from a different vendor."
        raise XapiFailure("VM_INCOMPATIBLE_WITH_THIS_HOST", vm_ref, host_ref, text)
    if not _subset(flags.get("features", ""), cpu_info.get(_features_key(vm), "")):
        text = "VM last booted on a CPU with features this host's CPU does not have."
        raise XapiFailure("VM_INCOMPATIBLE_WITH_THIS_HOST", vm_ref, host_ref, text)


def _features_key(vm: Mapping[str, Any]) -> str:
    return "features_pv" if vm["domain_type"] == "pv" else "features_hvm"


def _subset(needed: str, offered: str) -> bool:
    """Whether each hexadecimal word of ``needed`` has no bit that ``offered`` lacks; missing words are zero."""
    have = [int(word, 16) for word in offered.split("-") if word]
    want = [int(word, 16) for word in needed.split("-") if word]
    return all(word & ~(have[n] if n < len(have) else 0) == 0 for n, word in enumerate(want))
