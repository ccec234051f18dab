"""Hosts and toolstacks that go and are back at once: a host that loses its power, and a pool that gets another master."""

import time
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import boot
from xo_warmig.simulator.calls.outage import guests_of

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool


def crash_host(pool: "SimPool", host: str) -> None:
    """Guests are cut off and their VMs halted, disks are free, connections break; logs of changed blocks lack what was fresh in them.

    With the master go all sessions and tasks. Calls that are under way are not stopped.
    """
    db = pool.db
    vms = guests_of(pool, host)
    for listener in pool.listeners:
        if listener.host == host:
            listener.drop_connections()
    for vm in vms:
        pool.guests.kill(vm)
    with db.lock:
        pool.tracking.crash(host)
        for vm in vms:
            boot.halt(pool, vm)
        boot.unplug_devices(db, pool.dom0(host))
        now = f"{time.time():.0f}."
        db.update_map("host", host, "other_config", boot_time=now, agent_start_time=now)
    if host == pool.master:
        _forget(pool)


def change_master(pool: "SimPool", host: str) -> None:
    """Every toolstack starts again, which breaks all connections; sessions and tasks are not in what the new master has of the database.

    Guests run on.
    """
    pool.db.set("pool", pool.pool_ref, master=host)
    _forget(pool)
    for listener in pool.listeners:
        listener.drop_connections()


def _forget(pool: "SimPool") -> None:
    """What only the master's memory had."""
    pool.sessions.evict()
    for task in pool.db.refs("task"):
        pool.tasks.remove(task)
