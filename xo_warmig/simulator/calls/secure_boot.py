"""Whether guests can start with secure boot: by the keys that the pool has, and those that a VM's firmware took over.

Prototyped in XAPI 24.17. A VM's firmware enrols the pool's keys in its variables at its first start, and XAPI looks for them there; here
variables are not read, so those that exist are taken for what the pool would give.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls.vm_identity import is_uefi
from xo_warmig.simulator.release import at_least

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool


def get_secureboot_readiness(call: "Call", vm: str) -> str:
    """One of the words of ``vm_secureboot_readiness``."""
    row = call.pool.db.row("VM", vm)
    if not is_uefi(row):
        return "not_supported"
    if row["platform"].get("secureboot") != "true":
        return "disabled"
    if "EFI-variables" not in row["NVRAM"]:
        return "first_boot"
    return "ready" if _has_keys(call.pool) else "setup_mode"


def get_guest_secureboot_readiness(call: "Call", pool: str) -> str:
    """``ready`` where the pool has keys to give, else ``not_ready``."""
    call.pool.db.row("pool", pool)
    return "ready" if _has_keys(call.pool) else "not_ready"


def settled(pool: "SimPool", vm: Mapping[str, Any]) -> dict[str, str]:
    """The entry of a VM's platform that its start makes of ``auto``, since 8.1: whether the pool has keys."""
    if vm["platform"].get("secureboot") != "auto" or not at_least(pool.release, "8.2"):
        return {}
    return {"secureboot": "true" if _has_keys(pool) else "false"}


def _has_keys(pool: "SimPool") -> bool:
    row = pool.db.row("pool", pool.pool_ref)
    return bool(row["custom_uefi_certificates"] or row["uefi_certificates"])


CALLS = {
    "VM.get_secureboot_readiness": get_secureboot_readiness,
    "pool.get_guest_secureboot_readiness": get_guest_secureboot_readiness,
}
