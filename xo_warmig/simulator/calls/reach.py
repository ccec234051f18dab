"""Which host carries an operation out, and whether the master can hand it over to that one.

After ocaml/xapi/message_forwarding.ml: what runs on a host is done there; what concerns a disk, on the host that has its SR plugged, which
for a shared SR is the master. A host that the master knows to be dead is not even asked.
"""

from typing import TYPE_CHECKING

from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool

_BY_THE_MASTER = frozenset({"power_state_reset", "metadata_export"})
_LIVE = ("Running", "Paused")


def is_live(db: "Database", host: str) -> bool:
    """What the master believes of a host, by its heartbeats."""
    metrics = db.row("host", host)["metrics"]
    return not db.exists("host_metrics", metrics) or bool(db.row("host_metrics", metrics)["live"])


def assert_reached(pool: "SimPool", host: str) -> None:
    """HOST_OFFLINE for a host that is known to be down; CANNOT_CONTACT_HOST for one that is down and was not missed yet."""
    if not pool.db.exists("host", host) or host == pool.master:
        return
    if not is_live(pool.db, host):
        raise XapiFailure("HOST_OFFLINE", host)
    if host in pool.down:
        raise XapiFailure("CANNOT_CONTACT_HOST", host)


def assert_carried_out(pool: "SimPool", cls: str, ref: str, op: str) -> None:
    """The same for the host that an operation on an object is handed to. NO_HOSTS_AVAILABLE: none that sees all of a VM's disks is live."""
    db = pool.db
    match cls:
        case "SR" if op not in ("plug", "unplug"):
            assert_reached(pool, _host_of_sr(pool, ref))
        case "VDI" if op != "forget":
            assert_reached(pool, _host_of_sr(pool, db.row("VDI", ref)["SR"]))
        case "VBD" | "VIF":
            _assert_vm_reached(pool, db.row(cls, ref)["VM"])
        case "VM" if op == "snapshot":
            _assert_disks_seen(pool, ref)
        case "VM" if op not in _BY_THE_MASTER:
            _assert_vm_reached(pool, ref)


def _assert_vm_reached(pool: "SimPool", vm: str) -> None:
    row = pool.db.row("VM", vm)
    if row["power_state"] in _LIVE:
        assert_reached(pool, row["resident_on"])


def _host_of_sr(pool: "SimPool", sr: str) -> str:
    """Of those with the SR plugged the master, where it is shared, else the first. None where nobody has it: that has errors of its own."""
    db = pool.db
    hosts = plugged_hosts(db, sr)
    if db.row("SR", sr)["shared"] and pool.master in hosts:
        return pool.master
    return hosts[0] if hosts else NULL


def plugged_hosts(db: "Database", sr: str) -> list[str]:
    """Hosts with the SR plugged, as their records say, be they up or not."""
    pbds = [db.row("PBD", pbd) for pbd in db.row("SR", sr)["PBDs"]]
    return [pbd["host"] for pbd in pbds if pbd["currently_attached"]]


def _assert_disks_seen(pool: "SimPool", vm: str) -> None:
    db = pool.db
    disks = [db.row("VBD", vbd)["VDI"] for vbd in db.row("VM", vm)["VBDs"] if db.exists("VBD", vbd)]
    srs = {db.row("VDI", vdi)["SR"] for vdi in disks if db.exists("VDI", vdi)}
    seeing = [host for host in db.refs("host") if all(host in plugged_hosts(db, sr) for sr in srs)]
    live = [host for host in seeing if is_live(db, host)]
    if seeing and not live:
        raise XapiFailure("NO_HOSTS_AVAILABLE")
    if live and all(host in pool.down for host in live):
        raise XapiFailure("CANNOT_CONTACT_HOST", live[0])
