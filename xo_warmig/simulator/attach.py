"""Attaching disks to a host: who may have one how at the same time, and the control domain's own VBDs for transfers.

What SM and the storage layer of xapi do (libs/sm/blktap2.py, ocaml/xapi-idl/storage/vdi_automaton.ml): several datapaths to a disk on
one host, writers too, one host that writes, and a ``host_<ref>`` key in ``sm_config`` for each host that has it. Which VMs may share
a disk is decided before, by the rules of VBDs, which count no VBD of the control domain: xapi keeps nobody from a second import, nor a
VM from starting, on the host where an import still has the disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.devices import free_device, linux_device
from xo_warmig.simulator.calls.operations import Hold, marked, refresh, refresh_around
from xo_warmig.simulator.datamodel import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.pool import SimPool

_NOT_DATA = ("cbt_metadata", "ha_statefile", "redo_log")


@contextmanager
def attached(
    pool: "SimPool", vdi_ref: str, host_ref: str, mode: str, *, linger_seconds: float = 0.0, task: str = ""
) -> Iterator[str]:
    """A disk in the control domain of a host for as long as the context lasts; gives the VBD.

    ``mode`` is RO or RW. While the context lasts nobody else can unplug the VBD. After it the VBD stays plugged for
    ``linger_seconds`` and the delay of a detach, then it is unplugged and destroyed. Raises VDI_NOT_MANAGED, VDI_INCOMPATIBLE_TYPE,
    VDI_READONLY, INTERNAL_ERROR, SR_BACKEND_FAILURE_46 and, when the disk is busy for too long, OTHER_OPERATION_IN_PROGRESS.
    """
    key = task or f"OpaqueRef:{pool.db.new_uuid()}"
    vbd = _create_vbd(pool, vdi_ref, host_ref, mode)
    try:
        with marked(pool, key, Hold("VBD", vbd, "plug")):
            claim(pool.db, vbd)
            pool.delays.wait("attach")
            plug_in(pool.db, vbd)
        pool.open_vbds.add(vbd)
        try:
            yield vbd
        finally:
            pool.open_vbds.discard(vbd)
        pool.stopping.wait(linger_seconds)
    finally:
        _let_go(pool, key, vbd)


def claim(db: "Database", vbd: str) -> None:
    """See whether the disk of a VBD can be attached where its VM is. The VBD must be marked as being plugged, so that it counts."""
    with db.lock:
        row = db.row("VBD", vbd)
        host = db.row("VM", row["VM"])["resident_on"]
        claim_on(db, row["VDI"], host, row["mode"], ignoring=vbd)


def claim_on(db: "Database", vdi: str, host: str, mode: str, *, ignoring: str = "") -> None:
    """Whether ``mode`` goes with what hosts have already.

    Raises INTERNAL_ERROR for an illegal transition on the same host, SR_BACKEND_FAILURE_46 for another host's claim.
    """
    with db.lock:
        datapaths = _datapaths(db, vdi, ignoring)
        here = {had for where, had in datapaths if where == host}
        there = {had for where, had in datapaths if where != host}
        if "RW" in there or (there and mode == "RW"):
            text = f"The VDI is not available [opterr=VDI {db.row('VDI', vdi)['uuid']} not detached cleanly]"
            raise XapiFailure("SR_BACKEND_FAILURE_46", "", text, "")
        if here == {"RO"} and mode == "RW":
            raise XapiFailure("INTERNAL_ERROR", "Storage_interface.Illegal_transition([Activated RO,Activated RW])")


def plug_in(db: "Database", vbd: str) -> None:
    """The VBD is attached from here on."""
    with db.lock:
        device = linux_device(db.row("VBD", vbd)["userdevice"])
        db.set("VBD", vbd, currently_attached=True, device=device)
        note_hosts(db, db.row("VBD", vbd)["VDI"])


def plug_out(db: "Database", vbd: str) -> None:
    """The VBD is not attached any more; nothing when it is gone."""
    with db.lock:
        if not db.exists("VBD", vbd):
            return
        db.set("VBD", vbd, currently_attached=False)
        note_hosts(db, db.row("VBD", vbd)["VDI"])


def take_away_leaked(db: "Database", dom0: str) -> None:
    """What a control domain had attached when its host went: xapi and xapi-nbd destroy those VBDs when they start there.

    Sources: ocaml/xapi/dbsync_slave.ml and attach_helpers.ml, ocaml/nbd/src/cleanup.ml.
    """
    with db.lock:
        for vbd in list(db.row("VM", dom0)["VBDs"]):
            _destroy(db, vbd)


def _destroy(db: "Database", vbd: str) -> None:
    """With the lock held."""
    vdi = db.row("VBD", vbd)["VDI"]
    db.delete("VBD", vbd)
    note_hosts(db, vdi)
    refresh(db, "VDI", vdi)


def note_hosts(db: "Database", vdi: str) -> None:
    """Make the ``host_<ref>`` keys say who has the disk."""
    with db.lock:
        if not db.exists("VDI", vdi):
            return
        kept = {
            key: text for key, text in db.row("VDI", vdi)["sm_config"].items() if not key.startswith("host_OpaqueRef:")
        }
        for host, mode in sorted(_datapaths(db, vdi, "", plugged_only=True)):
            kept[f"host_{host}"] = mode  # RW sorts after RO, and it is what the host has when both are there
        db.set("VDI", vdi, sm_config=kept)


def _datapaths(db: "Database", vdi: str, ignoring: str, *, plugged_only: bool = False) -> list[tuple[str, str]]:
    """Host and mode of each VBD that has the disk or is about to have it.

    A suspended VM has let go of its disks; one that starts counts as soon as its host is chosen.
    """
    found = []
    for ref in db.row("VDI", vdi)["VBDs"]:
        if ref == ignoring or not db.exists("VBD", ref):
            continue
        vbd = db.row("VBD", ref)
        coming = not plugged_only and any(op in ("attach", "plug") for op in vbd["current_operations"].values())
        if (vbd["currently_attached"] or coming) and db.exists("VM", vbd["VM"]):
            vm = db.row("VM", vbd["VM"])
            host = vm["resident_on"] if vm["resident_on"] != NULL else vm["scheduled_to_be_resident_on"]
            if vm["power_state"] != "Suspended" and host != NULL:
                found.append((host, vbd["mode"]))
    return found


def _create_vbd(pool: "SimPool", vdi_ref: str, host_ref: str, mode: str) -> str:
    """The control domain's VBD, not plugged yet, after the checks that no waiting can change."""
    db = pool.db
    with db.lock:
        vdi = db.row("VDI", vdi_ref)
        if vdi["type"] in _NOT_DATA:
            raise XapiFailure("VDI_INCOMPATIBLE_TYPE", vdi_ref, vdi["type"])
        if mode == "RW" and vdi["read_only"]:
            raise XapiFailure("VDI_READONLY", vdi_ref)
        dom0 = pool.dom0(host_ref)
        device = free_device(pool, dom0, "Disk")
        vbd = db.create("VBD", VM=dom0, VDI=vdi_ref, userdevice=device, mode=mode, type="Disk", unpluggable=True)
        refresh_around(db, "VBD", vbd)
        return vbd


def _let_go(pool: "SimPool", key: str, vbd: str) -> None:
    """Unplug and destroy, whatever went before. Somebody else may have done so already."""
    db = pool.db
    if not db.exists("VBD", vbd):
        return
    if db.row("VM", db.row("VBD", vbd)["VM"])["resident_on"] in pool.down:
        return  # the control domain that would do so has no power
    if db.row("VBD", vbd)["currently_attached"]:
        with suppress(XapiFailure), marked(pool, key, Hold("VBD", vbd, "unplug")):
            pool.delays.wait("detach")
            plug_out(db, vbd)
    with db.lock:
        if db.exists("VBD", vbd):
            _destroy(db, vbd)
