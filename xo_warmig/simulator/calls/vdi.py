"""Calls on VDIs: create, snapshot, clone, resize, destroy, and the records of images that exist already."""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator.calls import disks, images
from xo_warmig.simulator.calls.operations import Hold, doing, refresh
from xo_warmig.simulator.calls.sm import assert_plugged
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.datamodel import EPOCH
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.storage import BLOCK

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call

_TEXT = ("name_label", "name_description", "type", "sharable", "read_only", "other_config")
_OPTIONAL = ("xenstore_data", "sm_config", "tags")


def create(call: "Call", args: dict[str, Any]) -> str:
    """A new disk; its size is rounded up to 2 MiB."""
    sr = args["SR"]
    if args["type"] == "cbt_metadata":
        raise XapiFailure("VDI_INCOMPATIBLE_TYPE", "", "cbt_metadata")
    assert_plugged(call.pool.db, sr)
    fields = {name: args[name] for name in (*_TEXT, *_OPTIONAL) if name in args}
    fields["sm_config"] = {key: text for key, text in args.get("sm_config", {}).items() if not _is_state(key)}
    return disks.create(call, sr, args["virtual_size"], **fields)


def _is_state(key: str) -> bool:
    """Keys of ``sm_config`` that say how an image is; a client that copies them from another disk is not believed."""
    return key == "vhd-parent" or key.startswith("host_OpaqueRef:")


def snapshot(call: "Call", vdi: str, driver_params: dict[str, str] | None = None) -> str:
    require_known(call, vdi)
    return disks.snapshot(call, vdi)


def clone(call: "Call", vdi: str, driver_params: dict[str, str] | None = None) -> str:
    require_known(call, vdi)
    return disks.clone(call, vdi)


def destroy(call: "Call", vdi: str) -> None:
    disks.destroy(call, vdi)


def resize(call: "Call", vdi: str, size: int) -> None:
    """Grow a disk that nobody has attached."""
    pool, db = call.pool, call.pool.db
    sr = db.row("VDI", vdi)["SR"]
    with doing(call, Hold("SR", sr, "vdi_resize"), Hold("VDI", vdi, "resize")):
        row = db.row("VDI", vdi)
        wanted = images.rounded(size, pool.storage.image(row["uuid"]).image_format, BLOCK)
        if wanted < row["virtual_size"]:
            raise images.invalid_size("shrinking not allowed")
        pool.delays.wait("resize")
        disks.resize(call, vdi, wanted)
        db.set("VDI", vdi, virtual_size=wanted)
        db.set("VDI", vdi, physical_utilisation=pool.space.disk_bytes(db.row("VDI", vdi)))
        pool.space.refresh(sr)


def update(call: "Call", vdi: str) -> None:
    """Read sizes anew."""
    pool = call.pool
    with doing(call, Hold("VDI", vdi, "update")):
        size_bytes = pool.space.disk_bytes(pool.db.row("VDI", vdi))
        if size_bytes is not None:
            pool.db.set("VDI", vdi, physical_utilisation=size_bytes)


def forget(call: "Call", vdi: str) -> None:
    """Delete the record; the image stays."""
    sr = call.pool.db.row("VDI", vdi)["SR"]
    with doing(call, Hold("VDI", vdi, "forget")):
        disks.forget(call.pool.db, vdi)
    call.pool.space.refresh(sr)


def introduce(
    call: "Call",
    uuid: str,
    name_label: str,
    name_description: str,
    sr: str,
    kind: str,
    sharable: bool,
    read_only: bool,
    other_config: dict[str, str],
    location: str,
    xenstore_data: dict[str, str] | None = None,
    sm_config: dict[str, str] | None = None,
    managed: bool = True,
    virtual_size: int = 0,
    physical_utilisation: int = 0,
    metadata_of_pool: str = NULL,
    is_a_snapshot: bool = False,
    snapshot_time: str = EPOCH,
    snapshot_of: str = NULL,
) -> str:
    """A record for an image that the SR has at ``location``."""
    pool = call.pool
    pool.db.row("SR", sr)
    image = location or uuid
    if not pool.storage.exists(image) or pool.db.resolve("VDI", image) is not None:
        raise XapiFailure("VDI_LOCATION_MISSING", sr, location)
    parent = pool.storage.parent(image)
    given = (sm_config or {}) | ({} if parent is None else {"vhd-parent": parent})
    return disks.record(
        pool,
        sr,
        image,
        name_label=name_label,
        name_description=name_description,
        type=kind,
        sharable=sharable,
        read_only=read_only,
        other_config=other_config,
        xenstore_data=xenstore_data or {},
        sm_config=given,
        managed=managed,
        is_a_snapshot=is_a_snapshot,
        snapshot_time=snapshot_time,
        snapshot_of=snapshot_of,
        cbt_enabled=pool.storage.logs.exists(image),
    )


def set_on_boot(call: "Call", vdi: str, value: str) -> None:
    with doing(call, Hold("VDI", vdi, "set_on_boot")):
        call.pool.db.set("VDI", vdi, on_boot=value)


def set_read_only(call: "Call", vdi: str, value: bool) -> None:
    call.pool.db.set("VDI", vdi, read_only=value)
    refresh(call.pool.db, "VDI", vdi)


def set_sharable(call: "Call", vdi: str, value: bool) -> None:
    call.pool.db.set("VDI", vdi, sharable=value)
    refresh(call.pool.db, "VDI", vdi)


def require_known(call: "Call", vdi: str) -> None:
    """What no waiting would change, before waiting for the SR."""
    row = call.pool.db.row("VDI", vdi)
    if not row["managed"]:
        raise XapiFailure("VDI_NOT_MANAGED", vdi)


def _set(field: str) -> Any:
    def setter(call: "Call", vdi: str, value: Any) -> None:
        call.pool.db.set("VDI", vdi, **{field: value})

    return setter


CALLS = {
    "VDI.create": create,
    "VDI.snapshot": snapshot,
    "VDI.clone": clone,
    "VDI.destroy": destroy,
    "VDI.resize": resize,
    "VDI.update": update,
    "VDI.forget": forget,
    "VDI.introduce": introduce,
    "VDI.set_on_boot": set_on_boot,
    "VDI.set_read_only": set_read_only,
    "VDI.set_sharable": set_sharable,
    "VDI.set_name_label": _set("name_label"),
    "VDI.set_name_description": _set("name_description"),
    "VDI.set_allow_caching": _set("allow_caching"),
}

HIDDEN = {
    "VDI.set_managed": (["VDI ref", "bool"], "void", _set("managed")),
    "VDI.set_missing": (["VDI ref", "bool"], "void", _set("missing")),
    "VDI.set_is_a_snapshot": (["VDI ref", "bool"], "void", _set("is_a_snapshot")),
    "VDI.set_snapshot_of": (["VDI ref", "VDI ref"], "void", _set("snapshot_of")),
    "VDI.set_snapshot_time": (["VDI ref", "datetime"], "void", _set("snapshot_time")),
    "VDI.set_metadata_of_pool": (["VDI ref", "pool ref"], "void", _set("metadata_of_pool")),
}
"""Calls that the datamodel does not show: parameter types, result type, handler."""
