"""What makes a VM itself: its generation id, its kind of domain, the device model that goes with its firmware."""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls.licence import assert_enabled
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import at_least

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool

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


def device_model(vm: Mapping[str, Any], release: str) -> dict[str, str]:
    """The ``device-model`` entry that the platform of an HVM guest lacks; 7.1 and older know one model alone, and name none."""
    if vm["domain_type"] != "hvm" or "device-model" in vm["platform"] or not at_least(release, "7.6"):
        return {}
    return {"device-model": "qemu-upstream-uefi" if is_uefi(vm) else "qemu-upstream-compat"}


def is_uefi(vm: Mapping[str, Any]) -> bool:
    return bool(vm["HVM_boot_params"].get("firmware") == "uefi")


def assert_vendor_device(pool: "SimPool") -> None:
    """From 7.0, which brought the device, to the 24.14 of xapi it needed a licence."""
    if at_least(pool.release, "7.1") and not at_least(pool.release, "8.3"):
        assert_enabled(pool, "PCI_device_for_auto_update")


def assert_bootable(pool: "SimPool", vm: Mapping[str, Any]) -> None:
    """What XAPI checks of a VM's settings only when it is started."""
    if vm["platform"].get("nested-virt", "").lower() in ("1", "true") and at_least(pool.release, "7.1"):
        assert_enabled(pool, "Nested_virt")
    if at_least(pool.release, "8.0"):
        _assert_device_model(vm)
    if at_least(pool.release, "7.1") and vm["domain_type"] != "pv":
        _assert_topology(vm, pool.release)
    most = vm["VCPUs_max"]
    assert_vcpus(most, vm["VCPUs_at_startup"])
    low, high = vm["memory_dynamic_min"], vm["memory_dynamic_max"]
    if not vm["memory_static_min"] <= low <= high <= vm["memory_static_max"]:
        raise XapiFailure("MEMORY_CONSTRAINT_VIOLATION", "static_min <= dynamic_min <= dynamic_max <= static_max")


def _assert_device_model(vm: Mapping[str, Any]) -> None:
    """After ocaml/xapi/vm_platform.ml (sanity_check), as the next."""
    model = vm["platform"].get("device-model")
    if vm["domain_type"] != "hvm":
        return
    if is_uefi(vm) and model == "qemu-trad":
        raise XapiFailure("INVALID_VALUE", "platform:device-model", "UEFI boot is not supported with qemu-trad")
    if not is_uefi(vm) and model == "qemu-upstream-uefi":
        raise XapiFailure(
            "INVALID_VALUE", "platform:device-model", "BIOS boot is not supported with qemu-upstream-uefi"
        )


def _assert_topology(vm: Mapping[str, Any], release: str) -> None:
    """Since 7.0; with an error of its own since 2020."""
    sockets, most = vm["platform"].get("cores-per-socket"), vm["VCPUs_max"]
    if sockets is None:
        return
    if not sockets.isdecimal():
        raise XapiFailure("INVALID_VALUE", "platform:cores-per-socket", sockets)
    if int(sockets) >= 1 and most % int(sockets) == 0:
        return
    if at_least(release, "8.3"):
        raise XapiFailure("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", str(most), sockets)
    raise XapiFailure("INVALID_VALUE", "platform:cores-per-socket", "VCPUs_max must be a multiple of this field")


def assert_vcpus(most: int, at_startup: int) -> None:
    """One at least, and no more at start-up than at most."""
    if most < 1:
        raise XapiFailure("INVALID_VALUE", "VCPUs_max", str(most))
    if at_startup < 1:
        raise XapiFailure("INVALID_VALUE", "VCPUs-at-startup", str(at_startup))
    if at_startup > most:
        raise XapiFailure("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", str(at_startup), "value greater than VCPUs-max")
