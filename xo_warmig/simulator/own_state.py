"""What a VM changes about itself while it runs: the offset of its clock, its EFI variables, the contents of its vTPM.

On a real pool the host notes these in the VM's records whenever the guest changes them. Here every value follows from a seed and from
the value before it, so that it is always a new one, and the same seed gives the same row of them.
"""

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database

VARIABLES = "EFI-variables"
"""The entry of ``VM.NVRAM``."""
VTPM_KEY = "sim:vtpm"
"""Of ``secret.other_config``: the uuid of the VTPM whose contents the secret has."""

_LEAST_BYTES = 256
_MOST_STEP_SECONDS = 60


def change(db: "Database", vm_ref: str, seed: int) -> None:
    """A running VM has new values, all at once. Nothing when it does not run."""
    with db.lock:
        if not db.exists("VM", vm_ref) or db.row("VM", vm_ref)["power_state"] != "Running":
            return
        vm = db.row("VM", vm_ref)
        db.update_map("VM", vm_ref, "platform", timeoffset=_next_offset(vm["platform"].get("timeoffset", "0"), seed))
        if VARIABLES in vm["NVRAM"]:
            db.update_map("VM", vm_ref, "NVRAM", **{VARIABLES: _next_blob(vm["NVRAM"][VARIABLES], seed)})
        for vtpm in vm["VTPMs"]:
            for secret in secrets_of(db, vtpm):
                db.set("secret", secret, value=_next_blob(db.row("secret", secret)["value"], seed))


def secrets_of(db: "Database", vtpm_ref: str) -> list[str]:
    """Where the contents of a VTPM are: one secret, or none when the VTPM is going."""
    return db.find("secret", other_config={VTPM_KEY: db.row("VTPM", vtpm_ref)["uuid"]})


def vtpm_contents(db: "Database", vm_ref: str) -> list[str]:
    """Of each VTPM that the VM has, in base64."""
    with db.lock:
        return [
            str(db.row("secret", ref)["value"])
            for vtpm in db.row("VM", vm_ref)["VTPMs"]
            for ref in secrets_of(db, vtpm)
        ]


def digest(db: "Database", vm_ref: str) -> str:
    """A hash of all of it: equal on two pools when the VM has taken everything along."""
    with db.lock:
        vm = db.row("VM", vm_ref)
        values: Any = [vm["platform"].get("timeoffset"), sorted(vm["NVRAM"].items()), vtpm_contents(db, vm_ref)]
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()


def _next_offset(text: str, seed: int) -> str:
    """Some seconds more or less; text that is no number counts as 0."""
    offset = int(text) if text.removeprefix("-").isdecimal() else 0
    first, second = _bytes(text, seed, 2)
    step = 1 + first % _MOST_STEP_SECONDS
    return str(offset + (step if second % 2 else -step))


def _next_blob(text: str, seed: int) -> str:
    """Other bytes, as many as there were."""
    try:
        length = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    return base64.b64encode(_bytes(text, seed, max(length, _LEAST_BYTES))).decode()


def _bytes(text: str, seed: int, count: int) -> bytes:
    return hashlib.shake_128(f"{seed}/{text}".encode()).digest(count)
