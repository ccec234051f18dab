"""When a VDI lets an operation happen: other operations, who has it attached, and what its SR's driver can do.

After the checks of ocaml/xapi/xapi_vdi.ml, in their order.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.rules import Refusal, Rules
from xo_warmig.simulator.calls.sm import features_of
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

FEATURES: Mapping[str, str] = {
    "snapshot": "VDI_SNAPSHOT",
    "destroy": "VDI_DELETE",
    "resize": "VDI_RESIZE",
    "update": "VDI_UPDATE",
    "generate_config": "VDI_GENERATE_CONFIG",
    "clone": "VDI_CLONE",
    "mirror": "VDI_MIRROR",
    "set_on_boot": "VDI_RESET_ON_BOOT",
    "enable_cbt": "VDI_CONFIG_CBT",
    "disable_cbt": "VDI_CONFIG_CBT",
    "data_destroy": "VDI_CONFIG_CBT",
    "list_changed_blocks": "VDI_CONFIG_CBT",
}
"""The feature that the SR's driver must have for an operation; others need none."""

LISTED = ("snapshot", "clone", "copy", "resize", "update", "generate_config", "forget", "destroy")
"""Those of changed block tracking are never listed, for the sake of older releases (CA-260245)."""

_LIVE = frozenset({"snapshot", "clone", "mirror", "blocked", "enable_cbt", "disable_cbt", "data_destroy"})
_NOT_FOR_METADATA = frozenset(
    {"clone", "copy", "mirror", "resize", "snapshot", "set_on_boot", "enable_cbt", "disable_cbt"}
)


def refusals(db: "Database", ref: str) -> Refusal:
    """Looks at the VDI, its VBDs and its SR once; what it gives judges any operation."""
    with db.lock:
        vdi = db.row("VDI", ref)
        vbds = [db.row("VBD", vbd) for vbd in vdi["VBDs"] if db.exists("VBD", vbd)]
        of_snapshots = {vbd["VM"] for vbd in vbds if db.exists("VM", vbd["VM"]) and _is_snapshot(db, vbd["VM"])}
        sr = db.row("SR", vdi["SR"])
        plugged = any(db.row("PBD", pbd)["currently_attached"] for pbd in sr["PBDs"])
        features = features_of(db, sr)

    def refuse(op: str) -> XapiFailure | None:
        if (failure := _occupied(ref, vdi, op)) is not None:
            return failure
        if op == "resize" and not plugged:
            return XapiFailure("SR_NO_PBDS", vdi["SR"])
        # VBDs of checkpoints are attached in name only, but just this operation knows.
        looked_at = [vbd for vbd in vbds if op != "list_changed_blocks" or vbd["VM"] not in of_snapshots]
        if (failure := _attached(ref, looked_at, op)) is not None:
            return failure
        if op in FEATURES and FEATURES[op] not in features:
            return XapiFailure("SR_OPERATION_NOT_SUPPORTED", vdi["SR"])
        return _by_kind(ref, vdi, sr, op)

    return refuse


RULES = Rules(LISTED, refusals)


def is_plugged(vbd: "Row") -> bool:
    """Attached, or about to be."""
    return bool(vbd["currently_attached"]) or any(op in ("attach", "plug") for op in vbd["current_operations"].values())


def _is_snapshot(db: "Database", vm: str) -> bool:
    return bool(db.row("VM", vm)["is_a_snapshot"])


def _occupied(ref: str, vdi: "Row", op: str) -> XapiFailure | None:
    for task, current in vdi["current_operations"].items():
        if current != "copy" and not (op == "destroy" and current == "mirror"):
            return XapiFailure("OTHER_OPERATION_IN_PROGRESS", "VDI", ref, current, task)
    return None


def _attached(ref: str, vbds: list["Row"], op: str) -> XapiFailure | None:
    active = [vbd for vbd in vbds if is_plugged(vbd)]
    if op == "copy":
        active = [vbd for vbd in active if vbd["mode"] == "RW"]
    if op not in _LIVE and active:
        return XapiFailure("VDI_IN_USE", ref, op)
    for vbd in vbds if op != "data_destroy" else ():  # which waits for them itself
        for task, current in vbd["current_operations"].items():
            return XapiFailure("OTHER_OPERATION_IN_PROGRESS", "VDI", ref, current, task)
    return None


def _by_kind(ref: str, vdi: "Row", sr: "Row", op: str) -> XapiFailure | None:
    if vdi["type"] == "cbt_metadata" and op in _NOT_FOR_METADATA:
        return XapiFailure("VDI_INCOMPATIBLE_TYPE", ref, "cbt_metadata")
    if vdi["cbt_enabled"] and op in ("mirror", "set_on_boot"):
        return XapiFailure("VDI_CBT_ENABLED", ref)
    if op in ("destroy", "forget") and vdi["type"] == "rrd":
        return XapiFailure("VDI_HAS_RRDS", ref)
    if op == "destroy":
        return _destruction(ref, vdi, sr)
    if op == "data_destroy":
        return _data_destruction(ref, vdi) or _destruction(ref, vdi, sr)
    if op in ("enable_cbt", "disable_cbt"):
        return _tracking(ref, vdi)
    if op == "snapshot" and vdi["sharable"]:
        return XapiFailure("VDI_IS_SHARABLE", ref)
    if op in ("snapshot", "copy") and vdi["on_boot"] == "reset":
        return XapiFailure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
    if op == "snapshot" and "copy" in vdi["current_operations"].values():
        return XapiFailure("OPERATION_NOT_ALLOWED", "Snapshot operation not allowed during copy.")
    return None


def _tracking(ref: str, vdi: "Row") -> XapiFailure | None:
    if vdi["is_a_snapshot"]:
        return XapiFailure("OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {ref}")
    if vdi["type"] not in ("user", "system"):
        return XapiFailure("VDI_INCOMPATIBLE_TYPE", ref, vdi["type"])
    return XapiFailure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION") if vdi["on_boot"] == "reset" else None


def _data_destruction(ref: str, vdi: "Row") -> XapiFailure | None:
    if not vdi["is_a_snapshot"]:
        return XapiFailure("OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {ref}")
    return None if vdi["cbt_enabled"] else XapiFailure("VDI_NO_CBT_METADATA", ref)


def _destruction(ref: str, vdi: "Row", sr: "Row") -> XapiFailure | None:
    if sr["type"] == "udev":
        return XapiFailure("VDI_IS_A_PHYSICAL_DEVICE", ref)
    if sr["is_tools_sr"]:
        return XapiFailure("SR_OPERATION_NOT_SUPPORTED", vdi["SR"])
    return None if vdi["managed"] else XapiFailure("VDI_NOT_MANAGED", ref)
