"""A member that loses its power and stays down, what the master does about it, and its coming back.

Nothing tells the master: it misses the heartbeats, after ten minutes on a real pool (``host_assumed_dead_interval``), and then says that
the host is not live. Until somebody declares it dead, or it is back, its VMs are running as far as their records say, its PBDs plugged
and its control domain's VBDs attached. Its address refuses connections, where that of a real one would not answer at all.
"""

import time
from typing import TYPE_CHECKING

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator.attach import take_away_leaked
from xo_warmig.simulator.calls import boot
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool


def take_down(pool: "SimPool", host: str) -> None:
    """Its guests end, its connections break, and no new one is taken. InvalidRequest for the master: that is a pool that is killed."""
    if host == pool.master:
        raise InvalidRequest("a pool without its master answers nobody: end its process instead")
    pool.down.add(host)
    for listener in pool.listeners:
        if listener.host == host:
            listener.stop()
    for vm in guests_of(pool, host):
        pool.guests.kill(vm)


def miss(pool: "SimPool", host: str) -> None:
    """The master has missed its heartbeats for long enough."""
    pool.db.set("host_metrics", pool.db.row("host", host)["metrics"], live=False)


def declare_dead(pool: "SimPool", host: str) -> None:
    """Its VMs are halted and may start elsewhere. HOST_IS_LIVE while it answers."""
    if host not in pool.down:
        raise XapiFailure("HOST_IS_LIVE", host)
    _give_up_guests(pool, host)
    pool.db.set("host", host, enabled=False)


def bring_up(pool: "SimPool", host: str) -> None:
    """It has started again: it answers, without VMs, and what its control domain had attached is gone."""
    db = pool.db
    _give_up_guests(pool, host)
    with db.lock:
        take_away_leaked(db, pool.dom0(host))
        now = f"{time.time():.0f}."
        db.update_map("host", host, "other_config", boot_time=now, agent_start_time=now)
        db.set("host", host, enabled=True)
        db.set("host_metrics", db.row("host", host)["metrics"], live=True)
    pool.down.discard(host)
    for listener in pool.listeners:
        if listener.host == host:
            listener.open()


def guests_of(pool: "SimPool", host: str) -> list[str]:
    """The VMs on a host, but its control domain."""
    db = pool.db
    return [vm for vm in db.field("host", host, "resident_VMs") if not db.row("VM", vm)["is_control_domain"]]


def _give_up_guests(pool: "SimPool", host: str) -> None:
    """Logs of changed blocks lack what was fresh in them: nobody on that host has closed them."""
    with pool.db.lock:
        pool.tracking.crash(host)
        for vm in guests_of(pool, host):
            boot.halt(pool, vm)


def comes_back(pool: "SimPool") -> None:
    """A pool that was restarted has all its hosts: those that were not live have started, too."""
    db = pool.db
    for host in db.refs("host"):
        metrics = db.row("host", host)["metrics"]
        if metrics != NULL and not db.row("host_metrics", metrics)["live"]:
            bring_up(pool, host)
