"""Live migration: within the pool, and to another one as far as this pool goes, which is to all its checks.

The other pool is asked over its own API, as the real one is; between processors of different makers it ends like there, with
VM_INCOMPATIBLE_WITH_THIS_HOST.
"""

from typing import TYPE_CHECKING

from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import boot, licence, lifecycle, placement
from xo_warmig.simulator.calls.cpu import assert_compatible
from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around, require
from xo_warmig.simulator.calls.remote import RemoteHost
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import at_least

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call

Map = dict[str, str]


def pool_migrate(call: "Call", vm: str, host: str, options: Map) -> None:
    """To another host of the pool that reaches the same storage."""
    pool, db = call.pool, call.pool.db
    db.row("host", host)
    with doing(call, Hold("VM", vm, "pool_migrate")):
        if at_least(pool.release, "7.6"):
            licence.assert_enabled(pool, "Xen_motion")
        placement.assert_can_boot(db, vm, host, cpu=options.get("force") != "true")
        with db.lock:
            former = db.row("VM", vm)["resident_on"]
            db.set("VM", vm, resident_on=host, domid=boot.next_domid(db, host))
            for vbd in db.row("VM", vm)["VBDs"]:
                attach.note_hosts(db, db.row("VBD", vbd)["VDI"])
            for place in (former, host):
                placement.note_free_memory(db, place)
        refresh_around(pool.db, "VM", vm)


def assert_can_migrate(
    call: "Call", vm: str, dest: Map, live: bool, vdi_map: Map, vif_map: Map, options: Map, vgpu_map: Map | None = None
) -> None:
    """Raises the first thing that speaks against it."""
    require(call.pool.db, Hold("VM", vm, "migrate_send"))
    _require_licence(call)
    _check(call.pool.db, vm, dest, vdi_map, vif_map, options)


def migrate_send(
    call: "Call",
    vm: str,
    dest: Map,
    live: bool,
    vdi_map: Map,
    vif_map: Map,
    options: Map,
    vgpu_map: Map | None = None,
    vdi_format_map: Map | None = None,
) -> str:
    """All checks; what passes them is more than a simulated pool can do."""
    with doing(call, Hold("VM", vm, "migrate_send")):
        _require_licence(call)
        _check(call.pool.db, vm, dest, vdi_map, vif_map, options)
        raise XapiFailure("NOT_IMPLEMENTED", "VM.migrate_send")


def _require_licence(call: "Call") -> None:
    if at_least(call.pool.release, "7.1"):
        licence.assert_enabled(call.pool, "Storage_motion")


def _check(db: "Database", vm: str, dest: Map, vdi_map: Map, vif_map: Map, options: Map) -> None:
    row = db.row("VM", vm)
    force = options.get("force") == "true"
    if options.get("copy") == "true" and row["power_state"] != lifecycle.HALTED and not force:
        raise lifecycle.bad_power_state(vm, (lifecycle.HALTED,), row["power_state"])
    host = dest.get("host", "")
    if db.exists("host", host):
        if vif_map:
            text = "VIF mapping is not allowed for intra-pool migration -all VIFs must be on the same network"
            raise XapiFailure("OPERATION_NOT_ALLOWED", text)
        placement.assert_can_boot(db, vm, host, cpu=not force)
    else:
        _check_elsewhere(db, vm, RemoteHost(dest), vif_map, force=force)
    _check_disks(db, vm, vdi_map, away=not db.exists("host", host))


def _check_elsewhere(db: "Database", vm: str, remote: RemoteHost, vif_map: Map, *, force: bool) -> None:
    row = db.row("VM", vm)
    if not remote.enabled():
        raise XapiFailure("HOST_DISABLED", remote.ref)
    cpu_info = remote.cpu_info()
    cpus = int(cpu_info.get("cpu_count", "0"))
    if cpus and row["VCPUs_max"] > cpus:
        raise XapiFailure("HOST_NOT_ENOUGH_PCPUS", str(row["VCPUs_max"]), str(cpus))
    for vif in row["VIFs"]:
        if vif not in vif_map:
            raise XapiFailure("VIF_NOT_IN_MAP", vif)
    if row["power_state"] != lifecycle.HALTED and not force:
        assert_compatible(vm, row, remote.ref, cpu_info)


def _check_disks(db: "Database", vm: str, vdi_map: Map, *, away: bool) -> None:
    for vbd in db.row("VM", vm)["VBDs"]:
        row = db.row("VBD", vbd)
        if row["empty"] or row["type"] == "CD":
            continue
        if away and row["VDI"] not in vdi_map:
            raise XapiFailure("VDI_NOT_IN_MAP", row["VDI"])
        if row["VDI"] in vdi_map and db.row("VDI", row["VDI"])["cbt_enabled"]:
            raise XapiFailure("VDI_CBT_ENABLED", row["VDI"])


CALLS = {
    "VM.pool_migrate": pool_migrate,
    "VM.assert_can_migrate": assert_can_migrate,
    "VM.migrate_send": migrate_send,
}
