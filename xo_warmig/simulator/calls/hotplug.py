"""What VBDs and VIFs have in common when they are plugged into a running VM.

After ocaml/xapi/xapi_vbd_helpers.ml and xapi_vif_helpers.ml.
"""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import lifecycle
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Row

_STOPPING = ("clean_shutdown", "hard_shutdown", "suspend", "pause")


def by_power_state(ref: str, plugged: bool, seen: lifecycle.View, op: str) -> XapiFailure | None:
    """Plugging needs a running VM and a device that is not there yet; unplugging one that is."""
    if seen.vm["power_state"] != lifecycle.RUNNING:
        return lifecycle.bad_power_state(seen.ref, (lifecycle.RUNNING,), seen.vm["power_state"])
    if plugged and op == "plug":
        return XapiFailure("DEVICE_ALREADY_ATTACHED", ref)
    if not plugged and op != "plug":
        return XapiFailure("DEVICE_ALREADY_DETACHED", ref)
    return None


def by_vm_operation(seen: lifecycle.View) -> XapiFailure | None:
    """Nothing is plugged while the VM is being stopped."""
    for op in seen.vm["current_operations"].values():
        if op in _STOPPING:
            return XapiFailure("OPERATION_NOT_ALLOWED", f"Current operation on VM:{seen.ref} is {op}")
    return None


def by_drivers(seen: lifecycle.View, claim: str) -> XapiFailure | None:
    """An HVM guest needs PV drivers, or must say itself that it can (``claim``: the field of its guest metrics)."""
    if seen.vm["power_state"] != lifecycle.RUNNING or seen.vm["domain_type"] != "hvm":
        return None
    if seen.guest is not None and seen.guest[claim] == "no":
        kind = claim.rpartition("_")[2].upper()
        return XapiFailure("OPERATION_NOT_ALLOWED", f"VM states it does not support {kind} hotplug.")
    able = seen.guest is not None and (seen.guest[claim] == "yes" or seen.guest["PV_drivers_detected"])
    return None if able else XapiFailure("VM_MISSING_PV_DRIVERS", seen.ref)


def own_operation(cls: str, ref: str, device: "Row") -> XapiFailure | None:
    """Operations of one device go one after the other."""
    for task, current in device["current_operations"].items():
        return XapiFailure("OTHER_OPERATION_IN_PROGRESS", cls, ref, current, task)
    return None
