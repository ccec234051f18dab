"""What a VM's guest tools tell of it."""

from typing import Any, Final

from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.records import Record
from xo_warmig.xo.objects.subject import Subject, XoObject

_RUNNING: Final = ("Running", "Paused")


def is_running(of: Subject) -> bool:
    """Whether it has memory: XO counts a paused VM in."""
    return of.record.get("power_state") in _RUNNING


def xen_tools(of: Subject) -> Any:
    """UNSET when nothing is known, False without drivers, else their version."""
    if not is_running(of) or of.of("metrics", "VM_metrics") is None:
        return UNSET
    guest = of.of("guest_metrics", "VM_guest_metrics")
    if guest is None or not _has_version(guest):
        return False
    major, minor = guest["PV_drivers_version"]["major"], guest["PV_drivers_version"]["minor"]
    return {"major": number(major), "minor": number(minor), "version": number(f"{major}.{minor}")}


def tools(of: Subject) -> XoObject:
    """Nothing unless the VM runs and has guest metrics."""
    guest = of.of("guest_metrics", "VM_guest_metrics")
    if not is_running(of) or guest is None or of.of("metrics", "VM_metrics") is None:
        return {}
    has_version = _has_version(guest)
    detected = guest.get("PV_drivers_detected", has_version)  # releases before 7.0 do not say
    return {
        "managementAgentDetected": has_version or guest["other"].get("feature-static-ip-setting") == "1",
        "pvDriversDetected": detected,
        "pvDriversVersion": _version(guest["PV_drivers_version"]) if has_version else UNSET,
        "pvDriversUpToDate": guest.get("PV_drivers_up_to_date", UNSET) if detected else UNSET,
    }


def memory(of: Subject) -> XoObject:
    """Bytes. The size is what a running guest says, or else has; of one that does not run what it would get."""
    guest = of.of("guest_metrics", "VM_guest_metrics")
    metrics = of.of("metrics", "VM_metrics")
    told = {} if guest is None else guest["memory"]
    limits: XoObject = {
        "dynamic": [of.number("memory_dynamic_min"), of.number("memory_dynamic_max")],
        "static": [of.number("memory_static_min"), of.number("memory_static_max")],
    }
    if is_running(of) and told.get("used"):
        return {**limits, "usage": number(told["used"]), "size": number(told.get("total", UNSET))}
    if is_running(of) and metrics is not None:
        return {**limits, "size": number(metrics["memory_actual"])}
    return {**limits, "size": of.number("memory_dynamic_max")}


def _has_version(guest: Record) -> bool:
    return "major" in guest["PV_drivers_version"] and "minor" in guest["PV_drivers_version"]


def _version(drivers: Record) -> str:
    parts = [drivers[part] for part in ("major", "minor", "micro") if part in drivers]
    return ".".join(parts) + (f"-{drivers['build']}" if "build" in drivers else "")
