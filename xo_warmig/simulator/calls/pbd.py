"""Calls on PBDs: how hosts reach SRs."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls.operations import Hold, doing, refresh_around
from xo_warmig.simulator.calls.reach import assert_reached
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call


def create(call: "Call", args: dict[str, Any]) -> str:
    db, host, sr = call.pool.db, args["host"], args["SR"]
    with db.lock:
        db.row("host", host)
        for pbd in db.row("SR", sr)["PBDs"]:
            if db.row("PBD", pbd)["host"] == host:
                raise XapiFailure("PBD_EXISTS", sr, host, pbd)
        other = args.get("other_config", {})
        return db.create("PBD", host=host, SR=sr, device_config=args["device_config"], other_config=other)


def destroy(call: "Call", pbd: str) -> None:
    db = call.pool.db
    with db.lock:
        if db.row("PBD", pbd)["currently_attached"]:
            raise XapiFailure("OPERATION_NOT_ALLOWED", "PBD is currently attached")
        db.delete("PBD", pbd)


def plug(call: "Call", pbd: str) -> None:
    """Nothing when it is plugged."""
    db = call.pool.db
    row = db.row("PBD", pbd)
    if row["currently_attached"]:
        return
    assert_reached(call.pool, row["host"])
    with doing(call, Hold("SR", row["SR"], "plug")), db.lock:
        others = [other for other in db.row("SR", row["SR"])["PBDs"] if db.row("PBD", other)["currently_attached"]]
        if others and not db.row("SR", row["SR"])["shared"]:
            raise XapiFailure("SR_NOT_SHARABLE", row["SR"], db.row("PBD", others[0])["host"])
        db.set("PBD", pbd, currently_attached=True)
    _refresh_disks(db, row["SR"])


def unplug(call: "Call", pbd: str) -> None:
    """Nothing when it is not plugged; VDI_IN_USE with every disk that the host has attached."""
    db = call.pool.db
    row = db.row("PBD", pbd)
    if not row["currently_attached"]:
        return
    assert_reached(call.pool, row["host"])
    with doing(call, Hold("SR", row["SR"], "unplug")), db.lock:
        if used := _used(db, row["SR"], row["host"]):
            raise XapiFailure("VDI_IN_USE", *used)
        db.set("PBD", pbd, currently_attached=False)
    _refresh_disks(db, row["SR"])


def set_device_config(call: "Call", pbd: str, value: dict[str, str]) -> None:
    call.pool.db.set("PBD", pbd, device_config=value)


def _used(db: "Database", sr: str, host: str) -> list[str]:
    """Disks of the SR that somebody on the host has attached."""
    return [vdi for vdi in db.row("SR", sr)["VDIs"] if f"host_{host}" in db.row("VDI", vdi)["sm_config"]]


def _refresh_disks(db: "Database", sr: str) -> None:
    for vdi in db.field("SR", sr, "VDIs"):
        refresh_around(db, "VDI", vdi)


CALLS = {
    "PBD.create": create,
    "PBD.destroy": destroy,
    "PBD.plug": plug,
    "PBD.unplug": unplug,
    "PBD.set_device_config": set_device_config,
}
