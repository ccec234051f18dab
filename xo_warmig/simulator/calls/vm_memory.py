"""Calls that set the memory limits of VMs."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.operations import Hold, doing
from xo_warmig.simulator.calls.placement import note_free_memory, overhead_bytes
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call


def set_memory_limits(
    call: "Call", vm: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> None:
    """All four of a halted VM, in order of size."""
    with doing(call, Hold("VM", vm, "changing_memory_limits")):
        _apply(call, vm, static_min, static_max, dynamic_min, dynamic_max)


def set_memory(call: "Call", vm: str, value: int) -> None:
    """The same amount for all limits but the smallest."""
    with doing(call, Hold("VM", vm, "changing_memory_limits")):
        static_min = min(value, call.pool.db.row("VM", vm)["memory_static_min"])
        _apply(call, vm, static_min, value, value, value)


def set_memory_static_range(call: "Call", vm: str, least: int, most: int) -> None:
    _static(call, vm, least, most)


def set_memory_static_min(call: "Call", vm: str, value: int) -> None:
    _static(call, vm, value, None)


def set_memory_static_max(call: "Call", vm: str, value: int) -> None:
    _static(call, vm, None, value)


def set_memory_dynamic_range(call: "Call", vm: str, least: int, most: int) -> None:
    _dynamic(call, vm, least, most)


def set_memory_dynamic_min(call: "Call", vm: str, value: int) -> None:
    _dynamic(call, vm, value, None)


def set_memory_dynamic_max(call: "Call", vm: str, value: int) -> None:
    _dynamic(call, vm, None, value)


def compute_memory_overhead(call: "Call", vm: str) -> int:
    return overhead_bytes(call.pool.db.row("VM", vm))


def maximise_memory(call: "Call", vm: str, total: int, approximate: bool) -> int:
    """The most memory that the VM can have when it may take ``total`` in all."""
    row = dict(call.pool.db.row("VM", vm))
    row["memory_static_max"] = total
    return (total - overhead_bytes(row)) >> 20 << 20


def _static(call: "Call", vm: str, least: int | None, most: int | None) -> None:
    with doing(call, Hold("VM", vm, "changing_static_range")):
        row = call.pool.db.row("VM", vm)
        low = row["memory_static_min"] if least is None else least
        high = row["memory_static_max"] if most is None else most
        _apply(call, vm, low, high, row["memory_dynamic_min"], row["memory_dynamic_max"])


def _dynamic(call: "Call", vm: str, least: int | None, most: int | None) -> None:
    with doing(call, Hold("VM", vm, "changing_dynamic_range")):
        row = call.pool.db.row("VM", vm)
        low = row["memory_dynamic_min"] if least is None else least
        high = row["memory_dynamic_max"] if most is None else most
        _apply(call, vm, row["memory_static_min"], row["memory_static_max"], low, high)


def _apply(call: "Call", vm: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int) -> None:
    if not 0 <= static_min <= dynamic_min <= dynamic_max <= static_max:
        raise XapiFailure("MEMORY_CONSTRAINT_VIOLATION_ORDER")
    db = call.pool.db
    with db.lock:
        db.set("VM", vm, memory_static_min=static_min, memory_static_max=static_max)
        db.set("VM", vm, memory_dynamic_min=dynamic_min, memory_dynamic_max=dynamic_max)
        db.set("VM", vm, memory_overhead=overhead_bytes(db.row("VM", vm)))
        note_free_memory(db, db.row("VM", vm)["resident_on"])


CALLS = {
    "VM.set_memory_limits": set_memory_limits,
    "VM.set_memory": set_memory,
    "VM.set_memory_static_range": set_memory_static_range,
    "VM.set_memory_static_min": set_memory_static_min,
    "VM.set_memory_static_max": set_memory_static_max,
    "VM.set_memory_dynamic_range": set_memory_dynamic_range,
    "VM.set_memory_dynamic_min": set_memory_dynamic_min,
    "VM.set_memory_dynamic_max": set_memory_dynamic_max,
    "VM.compute_memory_overhead": compute_memory_overhead,
    "VM.maximise_memory": maximise_memory,
}
