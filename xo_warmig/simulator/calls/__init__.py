"""The calls that do something: what XAPI's classes offer beyond getters, setters and collections, a module for each kind of object.

``HANDLERS`` has them by name; ``HIDDEN`` says the parameter and result types of those that the datamodel does not show.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from xo_warmig.simulator.calls import (
    bios,
    host,
    network,
    pbd,
    pool,
    sr,
    vbd,
    vdi,
    vdi_cbt,
    vdi_copy,
    vdi_nbd,
    vif,
    vm,
    vm_clone,
    vm_memory,
    vm_migrate,
    vm_power,
    vm_settings,
    vm_snapshot,
    vm_suspend,
    vtpm,
)

_MODULES: tuple[ModuleType, ...] = (
    *(bios, host, network, pbd, pool, sr, vbd, vdi, vdi_cbt, vdi_copy, vdi_nbd, vif, vm, vm_clone),
    *(vm_memory, vm_migrate, vm_power, vm_settings, vm_snapshot, vm_suspend, vtpm),
)
_HIDDEN = {**vdi.HIDDEN, **vdi_cbt.HIDDEN, **vm_settings.HIDDEN, **vtpm.HIDDEN}

HIDDEN: dict[str, tuple[list[str], str]] = {name: (params, result) for name, (params, result, _) in _HIDDEN.items()}
"""Parameter types (the session left out) and result type of calls that are not in the datamodel."""

CAME = {
    "VDI.set_cbt_enabled": "inverness",
    "VM.set_NVRAM_EFI_variables": "naples",
    "VTPM.get_contents": "22.26.0",
    "VTPM.set_contents": "22.26.0",
}
"""Releases that hidden calls came with, where that is not the first."""

HANDLERS: dict[str, Callable[..., Any]] = {
    **{name: handler for module in _MODULES for name, handler in module.CALLS.items()},
    **{name: handler for name, (_, _, handler) in _HIDDEN.items()},
}
"""Handlers by method: ``handler(call, *args)``."""
