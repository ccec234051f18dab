"""Errors in the form that older releases gave them (reference: xapi.md 4.2 and 4.3)."""

from collections.abc import Sequence

from xo_warmig.simulator.release import NEWEST, at_least


def as_of(release: str, method: str, details: Sequence[str]) -> list[str]:
    """Code and parameters as that release tells them of the method."""
    code, *params = details
    if release == NEWEST:
        return list(details)
    if code == "OTHER_OPERATION_IN_PROGRESS" and len(params) == 4:
        return [code, *_busy(*params)]
    if code == "VM_LACKS_FEATURE" and not at_least(release, "7.1"):
        return [_without_tools(method), *params]
    return list(details)


def _busy(cls: str, ref: str, operation: str, _task: str) -> list[str]:
    """Before 25.27: no task, and each class in its own way."""
    match cls:
        case "VM":
            return [f"VM.{operation}", ref]
        case "VDI":
            return ["VDI", ref]
    return [cls, ref, operation]


def _without_tools(method: str) -> str:
    """6.5 looked for drivers first, which is what a guest without tools lacks."""
    return "VM_MISSING_PV_DRIVERS" if method in ("VM.clean_shutdown", "VM.clean_reboot") else "VM_LACKS_FEATURE"
