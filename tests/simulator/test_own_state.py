"""What VMs change about themselves."""

import base64
from itertools import pairwise
from typing import Any

import pytest

from xo_warmig.simulator import own_state
from xo_warmig.simulator.database import Database


def vm_of(db: Database, **fields: Any) -> str:
    """A running VM with EFI variables and a vTPM."""
    running = {"power_state": "Running", "NVRAM": {"EFI-variables": base64.b64encode(b"v" * 1000).decode()}}
    vm = db.create("VM", **(running | fields))
    vtpm = db.create("VTPM", VM=vm)
    db.create("secret", value="", other_config={"sim:vtpm": db.row("VTPM", vtpm)["uuid"]})
    return vm


def values(db: Database, vm: str) -> list[Any]:
    row = db.row("VM", vm)
    return [row["platform"].get("timeoffset"), row["NVRAM"].get("EFI-variables"), *own_state.vtpm_contents(db, vm)]


def test_every_change_gives_new_values(database: Database) -> None:
    """Of the kind that the fields have: a number, and as many bytes as before in base64."""
    vm = vm_of(database)
    seen, digests = [values(database, vm)], {own_state.digest(database, vm)}
    for _ in range(20):
        own_state.change(database, vm, 1)
        seen.append(values(database, vm))
        digests.add(own_state.digest(database, vm))
    assert [len({row[n] for row in seen}) for n in (1, 2)] == [21, 21]
    assert all(one[0] != two[0] for one, two in pairwise(seen))
    assert len(digests) == 21
    assert int(seen[-1][0]) != 0
    assert len(base64.b64decode(seen[-1][1], validate=True)) == 1000
    assert len(base64.b64decode(seen[-1][2], validate=True)) == 256


def test_the_same_seed_gives_the_same_values() -> None:
    """Whatever the pool; another seed gives others."""
    seen = []
    for seed in (1, 1, 2):
        db = Database()
        vm = vm_of(db)
        for _ in range(3):
            own_state.change(db, vm, seed)
        seen.append((values(db, vm), own_state.digest(db, vm)))
    assert seen[0] == seen[1]
    assert all(one != two for one, two in zip(seen[0][0], seen[2][0], strict=True))


@pytest.mark.parametrize("state", ["Halted", "Paused", "Suspended"])
def test_a_vm_that_does_not_run_changes_nothing(database: Database, state: str) -> None:
    """Nor one that is gone."""
    vm = vm_of(database, power_state=state)
    before = values(database, vm)
    own_state.change(database, vm, 1)
    assert values(database, vm) == before
    database.delete("VM", vm)
    own_state.change(database, vm, 1)


def test_what_a_vm_has_not_is_not_made(database: Database) -> None:
    """A BIOS guest gets no EFI variables."""
    vm = database.create("VM", power_state="Running")
    own_state.change(database, vm, 1)
    assert database.row("VM", vm)["NVRAM"] == {}
    assert database.row("VM", vm)["platform"].keys() == {"timeoffset"}
