"""Notes in the trace when VMs come to other power states, whoever changed them."""

from xo_warmig.simulator import own_state
from xo_warmig.simulator.database import Database, Row
from xo_warmig.simulator.trace import Trace


def follow_power(db: Database, trace: Trace) -> None:
    """From now on every new VM and every change of a power state is noted; not of snapshots and control domains."""

    def note(kind: str, cls: str, ref: str, fields: Row) -> None:
        if cls != "VM" or "power_state" not in fields:
            return
        vm = db.row("VM", ref)
        if not vm["is_a_snapshot"] and not vm["is_control_domain"]:
            trace.power(vm["uuid"], vm["power_state"], own_state.digest(db, ref))

    db.watchers.append(note)
