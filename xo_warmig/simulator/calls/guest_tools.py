"""What a guest's tools report: guest metrics appear a while after the start of a VM whose guest has tools."""

import json
import threading
from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls.operations import refresh_around
from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool

_KEY = "sim:guest"
SETS_ADDRESSES = "feature-static-ip-setting"
_FEATURES = ("feature-shutdown", "feature-poweroff", "feature-reboot", "feature-suspend", "feature-balloon")


def settings(db: "Database", vm: str) -> dict[str, Any]:
    """What ``other_config["sim:guest"]`` says as JSON: ``tools`` (whether there are any), ``tools_seconds`` until they report,
    ``sets_addresses`` (whether they do what ``VIF.configure_ipv4`` asks).
    """
    try:
        said = json.loads(db.row("VM", vm)["other_config"].get(_KEY, "{}"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def clear(db: "Database", vm: str) -> None:
    """What an earlier run reported is gone."""
    with db.lock:
        guest = db.row("VM", vm)["guest_metrics"]
        if db.exists("VM_guest_metrics", guest):
            db.delete("VM_guest_metrics", guest)
        db.set("VM", vm, guest_metrics=NULL)


def expect(pool: "SimPool", vm: str) -> None:
    """Let the tools of a VM that has just started be seen in a while."""
    said = settings(pool.db, vm)
    if not said.get("tools", False):
        return
    domid = pool.db.row("VM", vm)["domid"]
    seconds = float(said.get("tools_seconds", 0.0))
    if seconds <= 0:
        report(pool.db, vm, domid)
        return
    timer = threading.Timer(seconds, report, (pool.db, vm, domid))
    timer.daemon = True
    timer.start()


def report(db: "Database", vm: str, domid: int) -> None:
    """The tools of that run of the VM are seen; nothing when the run is over."""
    with db.lock:
        if not db.exists("VM", vm) or db.row("VM", vm)["domid"] != domid:
            return
        if db.row("VM", vm)["power_state"] not in ("Running", "Paused"):
            return
        clear(db, vm)
        metrics = db.create("VM_guest_metrics", **_seen(db, vm, domid))
        db.set("VM", vm, guest_metrics=metrics)
        refresh_around(db, "VM", vm)


def copy(db: "Database", vm: str) -> str:
    """A copy of the VM's guest metrics for another VM; the null reference when there are none."""
    with db.lock:
        guest = db.row("VM", vm)["guest_metrics"]
        if not db.exists("VM_guest_metrics", guest):
            return NULL
        return db.create(
            "VM_guest_metrics", **{k: v for k, v in db.get("VM_guest_metrics", guest).items() if k != "uuid"}
        )


def _seen(db: "Database", vm: str, domid: int) -> dict[str, Any]:
    vifs = sorted(db.row("VIF", vif)["device"] for vif in db.row("VM", vm)["VIFs"] if db.exists("VIF", vif))
    networks: dict[str, str] = {}
    for device in vifs:
        address = f"10.{int(device) % 256}.{domid // 256 % 256}.{domid % 254 + 1}"
        networks |= {f"{device}/ip": address, f"{device}/ipv4/0": address}
    sets = {SETS_ADDRESSES: "1"} if settings(db, vm).get("sets_addresses") else {}
    return {
        "os_version": {
            "name": "Debian GNU/Linux 12 (bookworm)",
            "uname": "6.1.0-28-amd64",
            "distro": "debian",
            "major": "12",
        },
        "PV_drivers_version": {"major": "8", "minor": "4", "micro": "0", "build": "1"},
        "PV_drivers_up_to_date": True,
        "PV_drivers_detected": True,
        "networks": networks,
        "other": dict.fromkeys(_FEATURES, "1") | sets,
        "last_updated": now(),
        "live": True,
        "can_use_hotplug_vbd": "yes",
        "can_use_hotplug_vif": "yes",
    }
