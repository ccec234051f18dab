"""Calls on the pool that have an effect or a precondition; most of it is fields."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.database import NULL

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call


def set_default_sr(call: "Call", pool: str, value: str) -> None:
    """An SR of this pool, or none."""
    if value not in ("", NULL):
        call.pool.db.row("SR", value)
    call.pool.db.set("pool", pool, default_SR=value)


def get_license_state(call: "Call", pool: str) -> dict[str, str]:
    call.pool.db.row("pool", pool)
    return {"edition": "xcp-ng", "expiry": "never"}


def has_extension(call: "Call", pool: str, name: str) -> bool:
    call.pool.db.row("pool", pool)
    return False


def sync_database(call: "Call") -> None:
    """There is one copy of the database, and it is always up to date."""


def ha_compute_max_host_failures_to_tolerate(call: "Call") -> int:
    """How many hosts could go without taking the last one along."""
    return max(0, call.pool.db.count("host") - 1)


CALLS = {
    "pool.set_default_SR": set_default_sr,
    "pool.get_license_state": get_license_state,
    "pool.has_extension": has_extension,
    "pool.sync_database": sync_database,
    "pool.ha_compute_max_host_failures_to_tolerate": ha_compute_max_host_failures_to_tolerate,
}
