"""Operations in progress: marking them on objects, waiting for those that are in the way, and the lists of allowed operations.

As XAPI's forwarding layer does, a call that finds an object busy waits for it, for up to two hours, before it gives up with
OTHER_OPERATION_IN_PROGRESS; any other refusal is final at once. What speaks against an operation is in the rules of each class.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from xo_warmig.simulator.calls import lifecycle, reach, sr_rules, vbd_rules, vdi_rules, vif_rules
from xo_warmig.simulator.calls.rules import Rules
from xo_warmig.simulator.datamodel import NULL
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call
    from xo_warmig.simulator.pool import SimPool

PATIENCE_SECONDS = 2 * 3600.0
"""How long a call waits for an object that is busy."""
_LOOK_SECONDS = 0.25  # how often a waiting call looks whether it was cancelled

RULES: Mapping[str, Rules] = {
    "VM": lifecycle.RULES,
    "VDI": vdi_rules.RULES,
    "SR": sr_rules.RULES,
    "VBD": vbd_rules.RULES,
    "VIF": vif_rules.RULES,
}


class Hold(NamedTuple):
    """An operation on an object."""

    cls: str
    ref: str
    op: str


@contextmanager
def doing(call: "Call", *holds: Hold) -> Iterator[None]:
    """Mark operations of a call for as long as it lasts, all of them or none; raises where no host can be asked to carry them out."""
    with marked(call.pool, call.task, *holds):
        for hold in holds:
            reach.assert_carried_out(call.pool, *hold)
        yield


@contextmanager
def marked(pool: "SimPool", task: str, *holds: Hold) -> Iterator[None]:
    """The same in the name of any task reference; a call without a task gets a key that is nobody's."""
    task = task if task != NULL else f"OpaqueRef:{pool.db.new_uuid()}"
    _begin(pool, task, holds)
    try:
        yield
    finally:
        _end(pool.db, task, holds)


def refusal(db: "Database", hold: Hold) -> XapiFailure | None:
    """Why the operation cannot be done now."""
    return RULES[hold.cls].refusals(db, hold.ref)(hold.op)


def require(db: "Database", *holds: Hold) -> None:
    """Raises what speaks against any of the operations now, without waiting."""
    for hold in holds:
        if (failure := refusal(db, hold)) is not None:
            raise failure


def refresh(db: "Database", cls: str, ref: str) -> None:
    """Work out ``allowed_operations`` of one object anew; nothing when it is gone."""
    with db.lock:
        if not db.exists(cls, ref):
            return
        rules = RULES[cls]
        refuse = rules.refusals(db, ref)
        db.set(cls, ref, allowed_operations=[op for op in rules.listed if refuse(op) is None])


def refresh_around(db: "Database", cls: str, ref: str) -> None:
    """The same for an object and those whose rules look at it."""
    with db.lock:
        for other_cls, other in _neighbours(db, cls, ref):
            refresh(db, other_cls, other)


def refresh_all(db: "Database") -> None:
    """Every object of the classes that have rules."""
    for cls in RULES:
        for ref in db.refs(cls):
            refresh(db, cls, ref)


def forget_all(db: "Database") -> None:
    """After a restart no operation is in progress any more."""
    with db.lock:
        for cls in RULES:
            for ref in db.refs(cls):
                db.set(cls, ref, current_operations={})
        refresh_all(db)


def _begin(pool: "SimPool", task: str, holds: tuple[Hold, ...]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    db = pool.db
    with db.lock:
        while (failure := _first_refusal(db, holds)) is not None:
            if failure.code != "OTHER_OPERATION_IN_PROGRESS" or time.monotonic() >= deadline:
                raise failure
            if pool.tasks.is_cancelled(task):
                raise XapiFailure("TASK_CANCELLED", task)
            if pool.stopping.is_set():
                raise failure
            db.changed.wait(_LOOK_SECONDS)
        for cls, ref, op in holds:
            db.set(cls, ref, current_operations=db.field(cls, ref, "current_operations") | {task: op})
        for cls, ref, _ in holds:
            refresh(db, cls, ref)


def _first_refusal(db: "Database", holds: tuple[Hold, ...]) -> XapiFailure | None:
    return next((failure for hold in holds if (failure := refusal(db, hold)) is not None), None)


def _end(db: "Database", task: str, holds: tuple[Hold, ...]) -> None:
    with db.lock:
        for cls, ref, _ in holds:
            if db.exists(cls, ref):
                left = {key: op for key, op in db.field(cls, ref, "current_operations").items() if key != task}
                db.set(cls, ref, current_operations=left)
        for cls, ref, _ in holds:
            refresh_around(db, cls, ref)


def _neighbours(db: "Database", cls: str, ref: str) -> list[tuple[str, str]]:
    if not db.exists(cls, ref):
        return []
    found = [(cls, ref)]
    row = db.row(cls, ref)
    match cls:
        case "VM":
            found += [("VBD", vbd) for vbd in row["VBDs"]] + [("VIF", vif) for vif in row["VIFs"]]
            found += [("VDI", db.row("VBD", vbd)["VDI"]) for vbd in row["VBDs"] if db.exists("VBD", vbd)]
        case "VDI":
            found += [("VBD", vbd) for vbd in row["VBDs"]]
        case "VBD":
            found += [("VDI", row["VDI"])]
    return found
