"""What makes a VM itself: its generation id, its kind of domain, the device model that goes with its firmware."""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database

_HALF = (1 << 63) - 1


def fresh_generation_id(db: "Database", current: str = "0:0") -> str:
    """Two random numbers; a VM with an empty one has none and gets none."""
    if not current:
        return ""
    bits = uuid.UUID(db.new_uuid()).int
    return f"{bits >> 64 & _HALF}:{bits & _HALF}"


def domain_type(given: str, boot_policy: str) -> str:
    """The kind of domain, by the boot policy when nobody says: without one it is paravirtual."""
    if given != "unspecified":
        return given
    return "hvm" if boot_policy else "pv"


def device_model(vm: Mapping[str, Any]) -> dict[str, str]:
    """The ``device-model`` entry that the platform of an HVM guest lacks."""
    if vm["domain_type"] != "hvm" or "device-model" in vm["platform"]:
        return {}
    return {"device-model": "qemu-upstream-uefi" if is_uefi(vm) else "qemu-upstream-compat"}


def is_uefi(vm: Mapping[str, Any]) -> bool:
    return bool(vm["HVM_boot_params"].get("firmware") == "uefi")


def assert_bootable(vm: Mapping[str, Any]) -> None:
    """What XAPI checks of a VM's settings only when it is started."""
    platform, most = vm["platform"], vm["VCPUs_max"]
    if vm["domain_type"] == "hvm" and is_uefi(vm) and platform.get("device-model") == "qemu-trad":
        raise XapiFailure("INVALID_VALUE", "platform:device-model", "UEFI boot is not supported with qemu-trad")
    sockets = platform.get("cores-per-socket")
    if sockets is not None:
        if not sockets.isdecimal() or int(sockets) < 1:
            raise XapiFailure("INVALID_VALUE", "platform:cores-per-socket", f"value is not valid: {sockets}")
        if most % int(sockets):
            raise XapiFailure("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", str(most), sockets)
    assert_vcpus(most, vm["VCPUs_at_startup"])
    low, high = vm["memory_dynamic_min"], vm["memory_dynamic_max"]
    if not vm["memory_static_min"] <= low <= high <= vm["memory_static_max"]:
        raise XapiFailure("MEMORY_CONSTRAINT_VIOLATION", "static_min <= dynamic_min <= dynamic_max <= static_max")


def assert_vcpus(most: int, at_startup: int) -> None:
    """One at least, and no more at start-up than at most."""
    if most < 1:
        raise XapiFailure("INVALID_VALUE", "VCPUs_max", str(most))
    if at_startup < 1:
        raise XapiFailure("INVALID_VALUE", "VCPUs-at-startup", str(at_startup))
    if at_startup > most:
        raise XapiFailure("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", str(at_startup), "value greater than VCPUs-max")
