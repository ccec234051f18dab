"""Changed block tracking of VDIs: on, off, what changed from one to another, and destroying what a snapshot holds but its log.

After ocaml/xapi/xapi_vdi.ml and libs/sm/VDI.py.
"""

import base64
import time
from typing import TYPE_CHECKING

from xo_warmig.errors import FormatError, NoSuchObject
from xo_warmig.simulator.calls import licence
from xo_warmig.simulator.calls.operations import Hold, doing
from xo_warmig.simulator.calls.sm import assert_plugged
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.storage.index import RAW
from xo_warmig.simulator.tracking import is_attached

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Row
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

VBDS_GONE_SECONDS = 4.0
"""How long ``data_destroy`` waits for the VBDs of its disk to be destroyed."""

_NO_CONTENT = "/No content: this is a cbt_metadata VDI/"


def enable_cbt(call: "Call", vdi: str) -> None:
    """Nothing when it is on. The log of a disk that is attached begins as one that is open."""
    pool, db = call.pool, call.pool.db
    with doing(call, Hold("SR", db.row("VDI", vdi)["SR"], "vdi_enable_cbt"), Hold("VDI", vdi, "enable_cbt")):
        licence.assert_enabled(pool, "CBT")
        row = db.row("VDI", vdi)
        if row["cbt_enabled"]:
            return
        _require_cow(pool, row)
        pool.delays.wait("cbt")
        with pool.storage.pen(row["uuid"]), db.lock:
            pool.storage.logs.begin(row["uuid"], row["virtual_size"], attached=is_attached(db.row("VDI", vdi)))
            db.set("VDI", vdi, cbt_enabled=True)


def disable_cbt(call: "Call", vdi: str) -> None:
    """Nothing when it is off. The logs of snapshots stay."""
    pool, db = call.pool, call.pool.db
    with doing(call, Hold("SR", db.row("VDI", vdi)["SR"], "vdi_disable_cbt"), Hold("VDI", vdi, "disable_cbt")):
        if not db.row("VDI", vdi)["cbt_enabled"]:
            return
        pool.delays.wait("cbt")
        with db.lock:
            pool.storage.logs.end(db.row("VDI", vdi)["uuid"])
            db.set("VDI", vdi, cbt_enabled=False)


def list_changed_blocks(call: "Call", vdi_from: str, vdi_to: str) -> str:
    """The 64 KiB blocks that may differ, a bit for each, as base64. Nobody asks whether the logs are consistent."""
    pool, db = call.pool, call.pool.db
    first = db.row("VDI", vdi_from)
    holds = (
        Hold("SR", db.row("VDI", vdi_to)["SR"], "vdi_list_changed_blocks"),
        Hold("VDI", vdi_to, "list_changed_blocks"),
    )
    with doing(call, *holds):
        if first["SR"] != db.row("VDI", vdi_to)["SR"]:
            raise XapiFailure("INTERNAL_ERROR", "Storage_error ([S(Internal_error);S(Storage_utils.No_VDI)])")
        pool.delays.wait("changed_blocks")
        try:
            bits = pool.storage.logs.changed(first["uuid"], db.row("VDI", vdi_to)["uuid"])
        except NoSuchObject:
            why = "are same" if vdi_from == vdi_to else "are unrelated"
            raise _failed(
                460, "Failed to calculate changed blocks for given VDIs.", f"Source and target VDI {why}"
            ) from None
        except FormatError:
            raise _failed(
                459, "Changed block tracking log is in an inconsistent state.", "Inconsistent bitmaps"
            ) from None
    return base64.b64encode(bits).decode("ascii")


def data_destroy(call: "Call", vdi: str) -> None:
    """The image goes, record and log stay. Nothing when it was done before.

    Raises VDI_IN_USE while a VBD of the disk exists, attached or not, after waiting for it to go.
    """
    db = call.pool.db
    with doing(call, Hold("SR", db.row("VDI", vdi)["SR"], "vdi_data_destroy"), Hold("VDI", vdi, "data_destroy")):
        kind = db.row("VDI", vdi)["type"]
        if kind == "cbt_metadata":
            return
        assert_plugged(db, db.row("VDI", vdi)["SR"])
        db.set("VDI", vdi, type="cbt_metadata")  # so that nobody makes a VBD meanwhile
        try:
            _await_no_vbds(call, vdi)
        except BaseException:
            db.set("VDI", vdi, type=kind)
            raise
        _destroy_data(call, vdi)
    call.pool.collector.kick()


def rescan(pool: "SimPool", sr: str) -> None:
    """A scan finds logs without an image: they are as large as their files, and hang on nothing."""
    db, logs = pool.db, pool.storage.logs
    with db.lock:
        for vdi in db.row("SR", sr)["VDIs"]:
            row = db.row("VDI", vdi)
            if row["type"] == "cbt_metadata" and logs.exists(row["uuid"]):
                size = logs.file_bytes(row["uuid"])
                db.set("VDI", vdi, virtual_size=size, physical_utilisation=size)
                db.update_map("VDI", vdi, "sm_config", **{"vhd-parent": None})


def set_cbt_enabled(call: "Call", vdi: str, value: bool) -> None:
    """The record's field alone, as SM sets it."""
    call.pool.db.set("VDI", vdi, cbt_enabled=value)


def _require_cow(pool: "SimPool", row: "Row") -> None:
    """VHD and qcow2 images can be tracked, raw ones not."""
    if pool.storage.exists(row["uuid"]) and pool.storage.image(row["uuid"]).image_format == RAW:
        raise _failed(66, "Invalid VDI type", "Raw VDI or snapshot not permitted")


def _failed(number: int, text: str, why: str) -> XapiFailure:
    return XapiFailure(f"SR_BACKEND_FAILURE_{number}", "", f"{text} [opterr={why}]", "")


def _await_no_vbds(call: "Call", vdi: str) -> None:
    pool, db = call.pool, call.pool.db
    deadline = time.monotonic() + VBDS_GONE_SECONDS
    with db.changed:
        while db.row("VDI", vdi)["VBDs"]:
            left = deadline - time.monotonic()
            if left <= 0 or pool.stopping.is_set():
                raise XapiFailure("VDI_IN_USE", vdi, "data_destroy")
            db.changed.wait(left)


def _destroy_data(call: "Call", vdi: str) -> None:
    pool, db = call.pool, call.pool.db
    pool.delays.wait("data_destroy")
    row = db.row("VDI", vdi)
    if pool.storage.exists(row["uuid"]):
        pool.storage.destroy(row["uuid"])
    db.set("VDI", vdi, other_config=row["other_config"] | {"content_id": _NO_CONTENT})
    pool.space.refresh(row["SR"])


CALLS = {
    "VDI.enable_cbt": enable_cbt,
    "VDI.disable_cbt": disable_cbt,
    "VDI.list_changed_blocks": list_changed_blocks,
    "VDI.data_destroy": data_destroy,
}

HIDDEN = {"VDI.set_cbt_enabled": (["VDI ref", "bool"], "void", set_cbt_enabled)}
