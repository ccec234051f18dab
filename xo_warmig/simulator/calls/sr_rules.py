"""When an SR lets an operation happen. Creating, destroying, snapshotting and resizing disks are serial for each SR.

After ocaml/xapi/xapi_sr_operations.ml.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls.names import names
from xo_warmig.simulator.calls.rules import Refusal, Rules
from xo_warmig.simulator.calls.sm import features_of
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database, Row

FEATURES: Mapping[str, str] = {
    "vdi_create": "VDI_CREATE",
    "vdi_destroy": "VDI_DELETE",
    "vdi_resize": "VDI_RESIZE",
    "vdi_introduce": "VDI_INTRODUCE",
    "vdi_snapshot": "VDI_SNAPSHOT",
    "vdi_mirror": "VDI_MIRROR",
    "vdi_enable_cbt": "VDI_CONFIG_CBT",
    "vdi_disable_cbt": "VDI_CONFIG_CBT",
    "vdi_data_destroy": "VDI_CONFIG_CBT",
    "vdi_list_changed_blocks": "VDI_CONFIG_CBT",
    "update": "SR_UPDATE",
}

LISTED = names(
    """vdi_enable_cbt vdi_list_changed_blocks unplug plug pbd_create vdi_disable_cbt update pbd_destroy vdi_resize vdi_clone
    vdi_data_destroy scan vdi_snapshot vdi_mirror vdi_create vdi_destroy destroy forget"""
)


def refusals(db: "Database", ref: str) -> Refusal:
    """Looks at the SR once; what it gives judges any operation."""
    with db.lock:
        sr = db.row("SR", ref)
        features = features_of(db, sr)
        plugged = any(db.row("PBD", pbd)["currently_attached"] for pbd in sr["PBDs"])
        full = any(_is_content(db.row("VDI", vdi)) for vdi in sr["VDIs"] if db.exists("VDI", vdi))

    def refuse(op: str) -> XapiFailure | None:
        lacks = op in FEATURES and FEATURES[op] not in features
        if lacks or (sr["is_tools_sr"] and op in ("vdi_create", "vdi_destroy")):
            return XapiFailure("SR_OPERATION_NOT_SUPPORTED", ref)
        if op in ("destroy", "forget") and plugged:
            return XapiFailure("SR_HAS_PBD", ref)
        if op == "destroy" and not sr["PBDs"]:
            return XapiFailure("SR_NO_PBDS", ref)
        if op == "destroy" and full:
            return XapiFailure("SR_NOT_EMPTY")
        return _parallel(ref, sr, op)

    return refuse


RULES = Rules(LISTED, refusals)


def _is_content(vdi: "Row") -> bool:
    return bool(vdi["managed"]) and vdi["type"] != "rrd"


def _parallel(ref: str, sr: "Row", op: str) -> XapiFailure | None:
    """Plugs may go side by side, everything else goes alone."""
    for task, current in sr["current_operations"].items():
        if not (op == "plug" and current == "plug"):
            return XapiFailure("OTHER_OPERATION_IN_PROGRESS", "SR", ref, current, task)
    return None
