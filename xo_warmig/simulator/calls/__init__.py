"""The calls that do something: what XAPI's classes offer beyond getters, setters and collections, a module for each kind of object.

``HANDLERS`` has them by name; ``HIDDEN`` says the parameter and result types of those that the datamodel does not show.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls import (
    bios,
    host,
    network,
    pbd,
    pool,
    sr,
    vbd,
    vdi,
    vdi_copy,
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
from xo_warmig.simulator.calls.operations import forget_all, refresh_all

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool

_MODULES: tuple[ModuleType, ...] = (
    *(bios, host, network, pbd, pool, sr, vbd, vdi, vdi_copy, vif, vm, vm_clone),
    *(vm_memory, vm_migrate, vm_power, vm_settings, vm_snapshot, vm_suspend, vtpm),
)
_HIDDEN = {**vdi.HIDDEN, **vm_settings.HIDDEN, **vtpm.HIDDEN}

HIDDEN: dict[str, tuple[list[str], str]] = {name: (params, result) for name, (params, result, _) in _HIDDEN.items()}
"""Parameter types (the session left out) and result type of calls that are not in the datamodel."""

HANDLERS: dict[str, Callable[..., Any]] = {
    **{name: handler for module in _MODULES for name, handler in module.CALLS.items()},
    **{name: handler for name, (_, _, handler) in _HIDDEN.items()},
}
"""Handlers by method: ``handler(call, *args)``."""


def settle(pool: "SimPool") -> None:
    """After a pool's records have been made by hand: what every object allows."""
    refresh_all(pool.db)


def settle_after_restart(pool: "SimPool") -> None:
    """After a restart from a directory: nothing is in progress any more, and the guests of running VMs go on."""
    forget_all(pool.db)
    for ref, row in pool.db.rows("VM").items():
        if row["power_state"] in ("Running", "Paused") and not row["is_control_domain"]:
            pool.guests.start(ref)
            if row["power_state"] == "Paused":
                pool.guests.pause(ref)
