"""What calls do to disks: create, snapshot, clone, fill and remove them, image and record together, one at a time for each SR.

The checks of VDI calls are theirs; these are the common steps, also of VM.snapshot, VM.clone, VM.suspend and of new VMs.
"""

from typing import TYPE_CHECKING, Any

from xo_warmig.simulator import tracking
from xo_warmig.simulator.calls import images
from xo_warmig.simulator.calls.operations import Hold, doing, refresh, refresh_around
from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.storage import BLOCK, MOST_DEPTH

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

_OLD_DATA = b"old data" * (BLOCK // 8)

_KEPT = ("name_label", "name_description", "type", "sharable", "xenstore_data", "on_boot", "tags", "allow_caching")


def create(call: "Call", sr: str, size_bytes: int, **fields: Any) -> str:
    """A new empty disk."""
    asked = fields.get("sm_config", {})
    image_format = images.format_for(call.pool, sr, size_bytes, asked)
    size = images.rounded(size_bytes, image_format, BLOCK)
    fields["sm_config"] = {**asked, **images.told(call.pool, sr, image_format)}
    with doing(call, Hold("SR", sr, "vdi_create")):
        call.pool.delays.wait("create")
        call.pool.space.require_volume(sr, size)
        uuid = call.pool.db.new_uuid()
        call.pool.storage.create(uuid, size, image_format)
        if images.is_bare(call.pool, sr):
            _leave_old_data(call.pool, uuid)
        return record(call.pool, sr, uuid, **fields)


def _leave_old_data(pool: "SimPool", uuid: str) -> None:
    """What the extents of a volume held before."""
    with pool.storage.open(uuid, writable=True) as disk:
        for offset in range(0, disk.size_bytes, BLOCK):
            disk.pwrite(offset, _OLD_DATA)


def record(pool: "SimPool", sr: str, uuid: str, **fields: Any) -> str:
    """The record of an image that exists."""
    db, sizes = pool.db, _sizes(pool, uuid)
    with db.lock:
        ref = db.create("VDI", uuid=uuid, location=uuid, SR=sr, **({"managed": True} | sizes | fields))
        if pool.space.is_thick(sr):
            db.set("VDI", ref, physical_utilisation=pool.space.disk_bytes(db.row("VDI", ref)))
        refresh(db, "VDI", ref)
    pool.space.refresh(sr)
    return ref


def snapshot(call: "Call", vdi: str) -> str:
    """A snapshot; the disk may be attached."""
    row = call.pool.db.row("VDI", vdi)
    with doing(call, Hold("SR", row["SR"], "vdi_snapshot"), Hold("VDI", vdi, "snapshot")):
        call.pool.delays.wait("snapshot")
        row = call.pool.db.row("VDI", vdi)
        other_config = {"content_id": call.pool.db.new_uuid()} | row["other_config"]
        fields = {"is_a_snapshot": True, "snapshot_of": vdi, "snapshot_time": now(), "other_config": other_config}
        return _split(call, vdi, tracked=True, cbt_enabled=row["cbt_enabled"], read_only=row["read_only"], **fields)


def clone(call: "Call", vdi: str) -> str:
    """A writable disk with the same content that shares its blocks. Whether this one is tracked or not, that one is not."""
    row = call.pool.db.row("VDI", vdi)
    with doing(call, Hold("SR", row["SR"], "vdi_clone"), Hold("VDI", vdi, "clone")):
        call.pool.delays.wait("clone")
        return _split(call, vdi, other_config=call.pool.db.field("VDI", vdi, "other_config"))


def destroy(call: "Call", vdi: str) -> None:
    """Remove a disk and its VBDs."""
    db = call.pool.db
    sr = db.row("VDI", vdi)["SR"]
    with doing(call, Hold("SR", sr, "vdi_destroy"), Hold("VDI", vdi, "destroy")):
        call.pool.delays.wait("destroy")
        uuid = db.row("VDI", vdi)["uuid"]
        if call.pool.storage.exists(uuid):
            call.pool.storage.destroy(uuid)
        call.pool.storage.logs.destroy(uuid)
        forget(db, vdi)
        call.pool.space.refresh(sr)
    call.pool.collector.kick()


def forget(db: "Database", vdi: str) -> None:
    """Delete the record and those of its VBDs."""
    with db.lock:
        for vbd in db.field("VDI", vdi, "VBDs"):
            if db.exists("VBD", vbd):
                db.delete("VBD", vbd)
        db.delete("VDI", vdi)


def resize(call: "Call", vdi: str, size_bytes: int) -> None:
    """Grow the image, and the log of changes where there is one."""
    pool, uuid = call.pool, call.pool.db.row("VDI", vdi)["uuid"]
    with pool.storage.pen(uuid):
        pool.storage.resize(uuid, size_bytes)
        pool.storage.logs.resize(uuid, size_bytes)
    _keep_tracking(call, vdi, "cbt.resize", tracking.RESIZE_FAILED)


def _split(call: "Call", vdi: str, *, tracked: bool = False, **fields: Any) -> str:
    """Give the image of a disk a sibling, with a hidden parent for what both have, and the log of changes if it is to be tracked.

    Gives the sibling's record.
    """
    pool, db = call.pool, call.pool.db
    row = db.row("VDI", vdi)
    uuid, sibling = row["uuid"], db.new_uuid()
    if pool.storage.depth(uuid) >= MOST_DEPTH:
        raise XapiFailure("SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", "")
    images.assert_snapshots(pool, row["SR"], pool.storage.image(uuid).image_format)
    pool.space.require_volume(row["SR"], row["virtual_size"])
    former = pool.storage.parent(uuid)
    with pool.storage.pen(uuid):
        base = pool.storage.snapshot(uuid, sibling, db.new_uuid())
        if tracked:
            with db.lock:  # so that nobody takes or releases the disk at this moment
                pool.storage.logs.split(uuid, sibling, attached=tracking.is_attached(db.row("VDI", vdi)))
    if tracked:
        _keep_tracking(call, vdi, "cbt.snapshot", tracking.SNAPSHOT_FAILED)
    with db.lock:
        if base is not None:
            _base_copy(pool, vdi, base, former)
        parent = pool.storage.parent(sibling)
        chained = {} if parent is None else {"vhd-parent": parent}
        kept_as = pool.storage.image(sibling).image_format
        db.update_map("VDI", vdi, "sm_config", **{"vhd-parent": parent}, **images.told(pool, row["SR"], kept_as))
        chained |= images.told_of_snapshot(pool, row["SR"], kept_as)
        kept = {name: row[name] for name in _KEPT}
        ref = record(pool, row["SR"], sibling, **(kept | {"sm_config": chained} | fields))
        refresh_around(db, "VDI", vdi)
    return ref


def _keep_tracking(call: "Call", vdi: str, step: str, alert: tuple[str, str]) -> None:
    """The log of a disk that has one has been changed; a fault in that turns tracking off, and nothing else."""
    pool = call.pool
    if not pool.storage.logs.exists(pool.db.row("VDI", vdi)["uuid"]):
        return
    try:
        pool.faults.on_call(step, [vdi])
    except XapiFailure:
        tracking.turn_off(pool.db, pool.storage.logs, vdi, alert)


def _base_copy(pool: "SimPool", vdi: str, base: str, former: str | None) -> None:
    """The record of the hidden parent that a snapshot leaves."""
    row = pool.db.row("VDI", vdi)
    fields = {"name_label": "base copy", "managed": False, "read_only": True, "type": row["type"], "parent": NULL}
    pool.db.create(
        "VDI",
        uuid=base,
        location=base,
        SR=row["SR"],
        sm_config={} if former is None else {"vhd-parent": former},
        **fields,
        **_sizes(pool, base),
    )


def _sizes(pool: "SimPool", uuid: str) -> dict[str, int]:
    storage = pool.storage
    return {"virtual_size": storage.virtual_size_bytes(uuid), "physical_utilisation": storage.physical_bytes(uuid)}
