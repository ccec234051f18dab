"""When a VIF lets an operation happen. After ocaml/xapi/xapi_vif_helpers.ml."""

from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import hotplug, lifecycle
from xo_warmig.simulator.calls.rules import Refusal, Rules
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database

LISTED = ("attach", "plug", "unplug")


def refusals(db: "Database", ref: str) -> Refusal:
    """Looks at the VIF and its VM once; what it gives judges any operation."""
    with db.lock:
        vif = db.row("VIF", ref)
        seen = lifecycle.view(db, vif["VM"])

    def refuse(op: str) -> XapiFailure | None:
        if (failure := hotplug.own_operation("VIF", ref, vif)) is not None or op == "attach":
            return failure
        if op == "plug" and seen.vm["is_control_domain"]:
            return XapiFailure("OPERATION_NOT_ALLOWED", "Control domain does not support hotplug")
        return (
            hotplug.by_power_state(ref, vif["currently_attached"], seen, op)
            or hotplug.by_vm_operation(seen)
            or hotplug.by_drivers(seen, "can_use_hotplug_vif")
        )

    return refuse


RULES = Rules(LISTED, refusals)
