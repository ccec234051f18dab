"""Calls on the pool that have an effect or a precondition; most of it is fields."""

import threading
from typing import TYPE_CHECKING

from xo_warmig.simulator.crash import change_master
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.host_facts import edition

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_RESTART_SECONDS = 0.1  # time for the answer to arrive


def set_default_sr(call: "Call", pool: str, value: str) -> None:
    """An SR of this pool, or none."""
    if value not in ("", NULL):
        call.pool.db.row("SR", value)
    call.pool.db.set("pool", pool, default_SR=value)


def get_license_state(call: "Call", pool: str) -> dict[str, str]:
    call.pool.db.row("pool", pool)
    return {"edition": edition(call.pool.release), "expiry": "never"}


def has_extension(call: "Call", pool: str, name: str) -> bool:
    call.pool.db.row("pool", pool)
    return False


def sync_database(call: "Call") -> None:
    """There is one copy of the database, and it is always up to date."""


def ha_compute_max_host_failures_to_tolerate(call: "Call") -> int:
    """How many hosts could go without taking the last one along."""
    return max(0, call.pool.db.count("host") - 1)


def designate_new_master(call: "Call", host: str) -> None:
    """Answers, and then restarts. HOST_DISABLED, HOST_NOT_LIVE."""
    db = call.pool.db
    row = db.row("host", host)
    if not row["enabled"]:
        raise XapiFailure("HOST_DISABLED", host)
    if not db.field("host_metrics", row["metrics"], "live"):
        raise XapiFailure("HOST_NOT_LIVE")
    if host != call.pool.master:
        threading.Timer(_RESTART_SECONDS, change_master, (call.pool, host)).start()


CALLS = {
    "pool.designate_new_master": designate_new_master,
    "pool.set_default_SR": set_default_sr,
    "pool.get_license_state": get_license_state,
    "pool.has_extension": has_extension,
    "pool.sync_database": sync_database,
    "pool.ha_compute_max_host_failures_to_tolerate": ha_compute_max_host_failures_to_tolerate,
}
