"""The records of a real pool become the very objects that a real xo-server made of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.xo.wire import over_the_wire
from xo_warmig.xo.objects import PoolRecords, XoObject, objects_of

DATA = Path(__file__).parent.parent / "data" / "xo"

# The records were read a minute before the objects: a snapshot was taken in between, and the list of PCIs was cut short. The
# cores per socket were not in the record until xo-server wrote them.
_DIFFERENT = {
    ("VM-controller", "22222222"): {"coresPerSocket"},
    ("host", "11111111"): {"PCIs", "$PCIs"},
    ("pool", "ece81d78"): {"otherConfig"},
    ("SR", "c38ca80e"): {"VDIs", "other_config", "physical_usage", "usage"},
    ("SR", "0747a9dc"): {"other_config", "physical_usage"},
    ("VDI", "0663bb5e"): {"chainPhysicalUsage", "parent", "snapshots", "usage"},
}


def _expected() -> list[XoObject]:
    by_type: dict[str, list[XoObject]] = json.loads((DATA / "xo-objects.json").read_text())
    return [one for some in by_type.values() for one in some]


@pytest.mark.parametrize("wire", [over_the_wire, lambda records: records], ids=["xml", "json"])
def test_objects_are_as_recorded(wire: Callable[[Any], Any]) -> None:
    """Every field of every type, whichever protocol brought the records."""
    made = objects_of(PoolRecords(wire(json.loads((DATA / "xapi-records.json").read_text()))))
    for one in _expected():
        ours = made[one["id"]]
        different = {field for field in one.keys() | ours.keys() if one.get(field, ...) != ours.get(field, ...)}
        assert different == _DIFFERENT.get((one["type"], one["id"][:8]), set()), one["id"]


def test_objects_are_json() -> None:
    """Nothing of XML-RPC's is left in them, and no NaN."""
    made = objects_of(PoolRecords(over_the_wire(json.loads((DATA / "xapi-records.json").read_text()))))
    assert json.loads(json.dumps(made, allow_nan=False)) == made
