"""Notes in the trace when VMs come to other power states or blocked operations, whoever changed them."""

from xo_warmig.simulator import own_state
from xo_warmig.simulator.database import Database, Row
from xo_warmig.simulator.trace import Trace

_NOTED = frozenset({"power_state", "blocked_operations"})


def follow_power(db: Database, trace: Trace) -> None:
    """From now on every new VM and every such change is noted; not of snapshots and control domains."""

    def note(kind: str, cls: str, ref: str, fields: Row) -> None:
        if cls != "VM" or _NOTED.isdisjoint(fields):
            return
        vm = db.row("VM", ref)
        if not vm["is_a_snapshot"] and not vm["is_control_domain"]:
            found = {name: vm[name] for name in sorted(_NOTED)}
            trace.power(vm=vm["uuid"], ref=ref, own_state=own_state.digest(db, ref), **found)

    db.watchers.append(note)
