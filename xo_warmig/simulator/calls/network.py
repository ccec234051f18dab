"""Calls on networks: create, destroy, what they are for."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_KEPT = ("name_label", "name_description", "MTU", "other_config", "managed", "tags")
_OPPOSITE = {"nbd": "insecure_nbd", "insecure_nbd": "nbd"}


def create(call: "Call", args: dict[str, Any]) -> str:
    """A network without PIFs; its bridge is the next free ``xapiN`` unless one is given."""
    db = call.pool.db
    with db.lock:
        bridges = {row["bridge"] for row in db.rows("network").values()}
        bridge = args.get("bridge") or next(f"xapi{n}" for n in range(len(bridges) + 1) if f"xapi{n}" not in bridges)
        return db.create("network", bridge=bridge, **{name: args[name] for name in _KEPT if name in args})


def destroy(call: "Call", network: str) -> None:
    """Not with PIFs or attached VIFs; VIFs that are not attached go with it."""
    db = call.pool.db
    with db.lock:
        row = db.row("network", network)
        if connected := [vif for vif in row["VIFs"] if db.row("VIF", vif)["currently_attached"]]:
            raise XapiFailure("NETWORK_CONTAINS_VIF", *connected)
        if row["PIFs"]:
            raise XapiFailure("NETWORK_CONTAINS_PIF", *row["PIFs"])
        if row["other_config"].get("is_host_internal_management_network") == "true":
            raise XapiFailure("CANNOT_DESTROY_SYSTEM_NETWORK", network)
        for vif in row["VIFs"]:
            db.delete("VIF", vif)
        db.delete("network", network)


def add_purpose(call: "Call", network: str, value: str) -> None:
    """NBD in clear and NBD under TLS do not go together in one pool."""
    db = call.pool.db
    with db.lock:
        row = db.row("network", network)
        if not row["managed"]:
            raise XapiFailure("NETWORK_UNMANAGED", network)
        if value in row["purpose"]:
            return
        other = _OPPOSITE.get(value)
        if any(other in each["purpose"] for each in db.rows("network").values()):
            raise XapiFailure("NETWORK_INCOMPATIBLE_PURPOSES", value, str(other))
        db.set("network", network, purpose=[value, *row["purpose"]])


def remove_purpose(call: "Call", network: str, value: str) -> None:
    db = call.pool.db
    with db.lock:
        db.set("network", network, purpose=[each for each in db.row("network", network)["purpose"] if each != value])


def set_default_locking_mode(call: "Call", network: str, value: str) -> None:
    """Not while VIFs on it are attached."""
    db = call.pool.db
    with db.lock:
        for vif in db.row("network", network)["VIFs"]:
            if db.row("VIF", vif)["currently_attached"]:
                raise XapiFailure("VIF_IN_USE", network, vif)
        db.set("network", network, default_locking_mode=value)


CALLS = {
    "network.create": create,
    "network.destroy": destroy,
    "network.add_purpose": add_purpose,
    "network.remove_purpose": remove_purpose,
    "network.set_default_locking_mode": set_default_locking_mode,
}
