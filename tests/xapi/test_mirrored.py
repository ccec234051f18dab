"""What events make of records, and what makes of one state another. No pool."""

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xo_warmig.xapi import mirrored
from xo_warmig.xapi.mirrored import CLASSES, Change, State


def event(operation: str, cls: str, ref: str, **fields: Any) -> dict[str, Any]:
    """As ``event.from`` gives it."""
    made = {"id": "1", "timestamp": "0.0", "class": cls.lower(), "operation": operation, "ref": ref}
    return made if operation == "del" else made | {"snapshot": fields}


def state(**classes: dict[str, dict[str, Any]]) -> State:
    return mirrored.nothing() | classes


def test_what_came_changed_and_went_is_merged_and_told() -> None:
    """Each once, as it is now."""
    known = state(VM={"a": {"name_label": "old"}, "b": {}})
    events = [
        event("add", "VM", "c", name_label="new"),
        event("mod", "VM", "a", name_label="x"),
        event("del", "VM", "b"),
    ]
    told = mirrored.merge(known, mirrored.changes_in(events))
    assert told == [
        Change("VM", "c", {"name_label": "new"}),
        Change("VM", "a", {"name_label": "x"}),
        Change("VM", "b", None),
    ]
    assert known["VM"] == {"a": {"name_label": "x"}, "c": {"name_label": "new"}}


def test_what_is_known_already_is_not_told() -> None:
    """Nor is the end of what nobody knew, a class that is not mirrored, or a change without a record."""
    known = state(SR={"a": {"x": "1"}})
    events = [event("mod", "SR", "a", x="1"), event("del", "SR", "b"), event("add", "PGPU", "c", y="2")]
    events.append({"class": "sr", "operation": "mod", "ref": "a"})
    assert mirrored.merge(known, mirrored.changes_in(events)) == []
    assert known == state(SR={"a": {"x": "1"}})


def test_the_newest_messages_stay() -> None:
    """However many there are at first, and whatever comes later."""
    many = mirrored.MOST_MESSAGES + 5
    events = [event("add", "message", f"m{n}", timestamp=f"20261126T00:{n // 60:02}:{n % 60:02}Z") for n in range(many)]
    known = mirrored.state_of(reversed(events))
    assert set(known["message"]) == {f"m{n}" for n in range(5, many)}
    new, old = (event("add", "message", ref, timestamp=time) for ref, time in (("n", "20270101"), ("o", "20250101")))
    told = mirrored.merge(known, mirrored.changes_in([new, old]))
    assert {(change.ref, change.record is None) for change in told} == {("n", False), ("m5", True), ("o", True)}
    assert len(known["message"]) == mirrored.MOST_MESSAGES


_records = st.dictionaries(st.sampled_from("abcd"), st.fixed_dictionaries({"x": st.integers(0, 2)}))
_states = st.dictionaries(st.sampled_from(["VM", "task", "SR"]), _records)


@given(_states, _states)
def test_the_difference_makes_of_one_state_the_other(one: State, other: State) -> None:
    """And between equal ones there is none."""
    before, after = mirrored.nothing() | one, mirrored.nothing() | other
    changes = mirrored.difference(before, after)
    assert mirrored.merge(before, changes) == changes
    assert before == after
    assert mirrored.difference(before, after) == []


def test_other_numbers_are_noticed() -> None:
    """Of classes that the pool counts; messages are never all here, and the spelling is the pool's."""
    known = state(task={"a": {}}, VM={"b": {}}, VBD={"c": {}})
    counts = {"task": 0, "vM": 1, "message": 7, "session": 3, "vbd": 1}
    assert mirrored.miscounted(known, counts) == ["task"]
    assert mirrored.miscounted(known, {}) == []


def test_a_record_is_text_and_shares_what_is_equal() -> None:
    """Dates are text; what repeats is held once."""
    now = xmlrpc.client.DateTime("20261126T00:00:00Z")
    text = "".join(("Opaque", "Ref:NULL"))
    events = [
        event("add", "VM", ref, snapshot_time=now, parent=f"{text}", map={"k": text}, set=[text, True]) for ref in "ab"
    ]
    one, two = (change.record for change in mirrored.changes_in(events))
    assert (
        one == two == {"snapshot_time": "20261126T00:00:00Z", "parent": text, "map": {"k": text}, "set": [text, True]}
    )
    assert one["parent"] is two["set"][0]


@pytest.mark.parametrize("count", [0, 1, mirrored.MOST_CHANGES, mirrored.MOST_CHANGES * 2 + 1])
def test_pieces_are_small_and_leave_nothing_out(count: int) -> None:
    """In their order."""
    changes = [Change("VM", str(n), None) for n in range(count)]
    pieces = list(mirrored.pieces(changes))
    assert [change for piece in pieces for change in piece] == changes
    assert all(0 < len(piece) <= mirrored.MOST_CHANGES for piece in pieces)


def test_every_class_has_its_place() -> None:
    """No class twice, none that differs in its case alone."""
    assert len({cls.lower() for cls in CLASSES}) == len(CLASSES)
