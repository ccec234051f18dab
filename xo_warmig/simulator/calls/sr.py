"""Calls on SRs: scan, create, introduce, forget, destroy. Everything in them is kept by the pool's one chain store."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import images, vdi_cbt
from xo_warmig.simulator.calls.operations import Hold, doing, refresh, refresh_around
from xo_warmig.simulator.calls.sm import assert_known_driver, assert_plugged, supported_types
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_SHARED = frozenset({"nfs", "smb", "lvmoiscsi", "lvmohba"})


def scan(call: "Call", sr: str) -> None:
    """Sizes as they are now, and a reason for the garbage collector to look."""
    with doing(call, Hold("SR", sr, "scan")):
        assert_plugged(call.pool.db, sr)
        call.pool.delays.wait("scan")
        call.pool.space.rescan(sr)
        vdi_cbt.rescan(call.pool, sr)
        images.rescan(call.pool, sr)
    call.pool.collector.kick()


def update(call: "Call", sr: str) -> None:
    with doing(call, Hold("SR", sr, "update")):
        call.pool.space.refresh(sr)


def create(
    call: "Call",
    host: str,
    device_config: dict[str, str],
    physical_size: int,
    name_label: str,
    name_description: str,
    kind: str,
    content_type: str,
    shared: bool,
    sm_config: dict[str, str] | None = None,
) -> str:
    """An SR with a plugged PBD: for that host, or for all when it is shared."""
    db = call.pool.db
    db.row("host", host)
    assert_known_driver(db, kind)
    with db.lock:
        sr = db.create(
            "SR",
            name_label=name_label,
            name_description=name_description,
            type=kind,
            content_type=content_type or ("iso" if kind == "iso" else "user"),
            shared=shared or kind in _SHARED,
            physical_size=physical_size or call.pool.config.sr_size_bytes,
            sm_config=sm_config or {},
        )
        for each in db.refs("host") if db.row("SR", sr)["shared"] else [host]:
            db.create("PBD", SR=sr, host=each, device_config=device_config, currently_attached=True)
        refresh(db, "SR", sr)
    return sr


def introduce(
    call: "Call",
    uuid: str,
    name_label: str,
    name_description: str,
    kind: str,
    content_type: str,
    shared: bool,
    sm_config: dict[str, str] | None = None,
) -> str:
    """An SR that exists, without a PBD yet."""
    db = call.pool.db
    with db.lock:
        assert_known_driver(db, kind)
        if db.find("SR", uuid=uuid):
            raise XapiFailure("SR_UUID_EXISTS", uuid)
        text = {"name_label": name_label, "name_description": name_description, "content_type": content_type}
        sr = db.create("SR", uuid=uuid, type=kind, shared=shared, sm_config=sm_config or {}, **text)
        db.set("SR", sr, physical_size=call.pool.config.sr_size_bytes)
        refresh(db, "SR", sr)
        return sr


def destroy(call: "Call", sr: str) -> None:
    """Only when unplugged everywhere and empty."""
    _end(call, sr, "destroy")


def forget(call: "Call", sr: str) -> None:
    """The records go, images stay."""
    _end(call, sr, "forget")


def _end(call: "Call", sr: str, op: str) -> None:
    db = call.pool.db
    with doing(call, Hold("SR", sr, op)), db.lock:
        for pbd in db.field("SR", sr, "PBDs"):
            db.delete("PBD", pbd)
        for vdi in db.field("SR", sr, "VDIs"):
            db.delete("VDI", vdi)
        db.delete("SR", sr)


def get_supported_types(call: "Call") -> list[str]:
    return supported_types(call.pool.db)


def set_shared(call: "Call", sr: str, value: bool) -> None:
    """No longer shared only with one host left."""
    db = call.pool.db
    with db.lock:
        if not value and len(db.row("SR", sr)["PBDs"]) > 1:
            raise XapiFailure("SR_HAS_MULTIPLE_PBDS", sr)
        db.set("SR", sr, shared=value)


def set_physical_size(call: "Call", sr: str, value: int) -> None:
    call.pool.db.set("SR", sr, physical_size=value)
    refresh_around(call.pool.db, "SR", sr)


CALLS = {
    "SR.scan": scan,
    "SR.update": update,
    "SR.create": create,
    "SR.introduce": introduce,
    "SR.destroy": destroy,
    "SR.forget": forget,
    "SR.get_supported_types": get_supported_types,
    "SR.set_shared": set_shared,
    "SR.set_physical_size": set_physical_size,
}
