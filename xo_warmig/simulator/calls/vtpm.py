"""Calls on VTPMs. The contents, one base64 text, are kept as XAPI keeps them: in a secret."""

import base64
import binascii
from typing import TYPE_CHECKING

from xo_warmig.simulator.calls import lifecycle
from xo_warmig.simulator.calls.licence import assert_local_root
from xo_warmig.simulator.calls.operations import Hold, require
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.own_state import VTPM_KEY, secrets_of

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database
    from xo_warmig.simulator.dispatch import Call


def create(call: "Call", vm: str, is_unique: bool) -> str:
    """One for a halted VM that has none yet."""
    db = call.pool.db
    with db.lock:
        if db.row("pool", call.pool.pool_ref)["restrictions"].get("restrict_vtpm") != "false":
            raise XapiFailure("FEATURE_RESTRICTED", "restrict_vtpm")
        have = db.row("VM", vm)["VTPMs"]
        if have:
            raise XapiFailure("VTPM_MAX_AMOUNT_REACHED", str(len(have)))
        require(db, Hold("VM", vm, "create_vtpm"))
        return add(db, vm, is_unique=is_unique)


def add(db: "Database", vm: str, *, is_unique: bool, contents: str = "") -> str:
    """A VTPM with its secret."""
    ref = db.create("VTPM", VM=vm, is_unique=is_unique, persistence_backend="xapi", allowed_operations=["destroy"])
    db.create("secret", value=contents, other_config={VTPM_KEY: db.row("VTPM", ref)["uuid"]})
    return ref


def copy_to(db: "Database", vtpm: str, vm: str) -> str:
    """The same for another VM; the contents of a unique one are not copied."""
    row = db.row("VTPM", vtpm)
    contents = "" if row["is_unique"] else db.row("secret", _secret(db, vtpm))["value"]
    return add(db, vm, is_unique=row["is_unique"], contents=contents)


def destroy(call: "Call", vtpm: str) -> None:
    db = call.pool.db
    with db.lock:
        vm = db.row("VTPM", vtpm)["VM"]
        state, expected = db.row("VM", vm)["power_state"], (lifecycle.HALTED, lifecycle.SUSPENDED)
        if state not in expected:
            raise lifecycle.bad_power_state(vm, expected, state)
        drop_contents(db, vtpm)
        db.delete("VTPM", vtpm)


def drop_contents(db: "Database", vtpm: str) -> None:
    """Delete the secret of a VTPM that is about to go."""
    for ref in secrets_of(db, vtpm):
        db.delete("secret", ref)


def get_contents(call: "Call", vtpm: str) -> str:
    assert_local_root(call, "vtpm.get_contents")
    db = call.pool.db
    return str(db.row("secret", _secret(db, vtpm))["value"])


def set_contents(call: "Call", vtpm: str, contents: str) -> None:
    """Replace the state. INTERNAL_ERROR when the text is not base64."""
    assert_local_root(call, "vtpm.set_contents")
    db = call.pool.db
    secret = _secret(db, vtpm)
    try:
        base64.b64decode(contents, validate=True)
    except binascii.Error as error:
        raise XapiFailure("INTERNAL_ERROR", str(error)) from error
    db.set("secret", secret, value=contents)


def _secret(db: "Database", vtpm: str) -> str:
    return secrets_of(db, vtpm)[0]


CALLS = {"VTPM.create": create, "VTPM.destroy": destroy}

HIDDEN = {
    "VTPM.get_contents": (["VTPM ref"], "string", get_contents),
    "VTPM.set_contents": (["VTPM ref", "string"], "void", set_contents),
}
"""Calls that the datamodel does not show: parameter types, result type, handler."""
