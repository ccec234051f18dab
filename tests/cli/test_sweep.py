"""sweep: what was left behind, and what became of it."""

import json
from typing import Any

import pytest


def left(kind: str, uuid: str, *, removed: bool, why: str = "", size: int | None = None) -> dict[str, Any]:
    found = {
        "pool": "p-2",
        "poolName": "amd [x]",
        "kind": kind,
        "uuid": uuid,
        "nameLabel": "db [0]",
        "migration": "m-0",
        "role": "target",
        "sizeBytes": size,
    }
    return {"object": found, "removed": removed, "why": why}


def test_it_lists_without_removing(canned: Any, run: Any) -> None:
    """With the command that removes, and the pools that nobody looked at."""
    objects = [left("vm", "u-1", removed=False), left("vdi", "u-2", removed=False, size=3 << 30)]
    canned.answers["warmMigration.sweep"] = {"objects": objects, "notAsked": ["intel"]}
    result = run("sweep")
    assert result.exit_code == 0, result.output
    assert canned.calls == [("warmMigration.sweep", {"remove": False})]
    for part in (
        "amd [x]",
        "db [0]",
        "u-1",
        "u-2",
        "3.0 GiB",
        "2 objects, 3.0 GiB",
        "sweep --remove",
        "not looked at: intel",
    ):
        assert part in result.stdout, part


@pytest.mark.parametrize(("why", "code"), [("", 0), ("it is attached", 1)])
def test_it_removes_what_it_can(canned: Any, run: Any, why: str, code: int) -> None:
    """The exit code tells whether all of it went."""
    objects = [left("vm", "u-1", removed=True), left("vdi", "u-2", removed=not why, why=why)]
    canned.answers["warmMigration.sweep"] = {"objects": objects, "notAsked": []}
    result = run("sweep", "--remove")
    assert result.exit_code == code
    assert canned.calls == [("warmMigration.sweep", {"remove": True})]
    assert ("Removed 1 of 2 objects." if why else "Removed 2 of 2 objects.") in result.stdout
    assert not why or "stays: it is attached" in result.stdout
    as_json = run("sweep", "--remove", "--json")
    assert as_json.exit_code == code
    assert json.loads(as_json.stdout) == canned.answers["warmMigration.sweep"]


def test_nothing_left_says_so(canned: Any, run: Any) -> None:
    """And is no failure."""
    canned.answers["warmMigration.sweep"] = {"objects": [], "notAsked": []}
    assert run("sweep", "--remove").stdout == "Nothing was left behind.\n"
