"""What a mirror holds of a pool: events merged into records, one state compared with another. Pure.

Events are those of ``event.from`` (ocaml/xapi/xapi_event.ml): ``class`` in lower case, ``operation`` (add, mod, del), ``ref`` and, but
for del, ``snapshot``, which is the whole record.
"""

import sys
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

Record: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, dict[str, Record]]
"""``{class: {reference: record}}``, every class of ``CLASSES`` there; dates are XAPI's text."""

CLASSES = (
    "pool",
    "host",
    "host_metrics",
    "SR",
    "PBD",
    "network",
    "PIF",
    "PIF_metrics",
    "Bond",
    "VM",
    "VM_metrics",
    "VM_guest_metrics",
    "VDI",
    "VBD",
    "VIF",
    "VTPM",
    "task",
    "message",
)
"""In the order in which they are told, what others refer to first."""

MOST_MESSAGES = 300
MOST_CHANGES = 500
"""Told at once: who listens has other things to do too."""

_BY_LOWER_CASE = {cls.lower(): cls for cls in CLASSES}


class Change(NamedTuple):
    """What a record is now; None when it is gone."""

    cls: str
    ref: str
    record: Record | None


def nothing() -> State:
    return {cls: {} for cls in CLASSES}


def changes_in(events: Iterable[Mapping[str, Any]]) -> list[Change]:
    """What events say, those of other classes left out; so is a change of something that is gone by now, whose end is told later."""
    shared: dict[str, str] = {}
    changes = []
    for event in events:
        cls = _BY_LOWER_CASE.get(event["class"].lower())
        if cls is None:
            continue
        if event["operation"] == "del":
            changes.append(Change(cls, event["ref"], None))
        elif event.get("snapshot"):
            changes.append(Change(cls, event["ref"], slim(event["snapshot"], shared)))
    return changes


def state_of(events: Iterable[Mapping[str, Any]]) -> State:
    """The state that the answer to a first question tells of."""
    state = nothing()
    merge(state, changes_in(events))
    return state


def merge(state: State, changes: Iterable[Change]) -> list[Change]:
    """Put changes into a state, and give those that made a difference. Of messages the newest stay only."""
    made: dict[tuple[str, str], Change] = {}
    for change in changes:
        known = state[change.cls]
        if known.get(change.ref) == change.record:
            continue
        _put(known, change)
        made[change.cls, change.ref] = change
    for ref in _surplus(state["message"]):
        # One that is new and old at once is told as gone to who never heard of it, which does no harm.
        made["message", ref] = Change("message", ref, None)
        del state["message"][ref]
    return list(made.values())


def difference(before: State, after: State) -> list[Change]:
    """What makes of one state the other."""
    changes = []
    for cls in CLASSES:
        old, new = before[cls], after[cls]
        changes += [Change(cls, ref, record) for ref, record in new.items() if old.get(ref) != record]
        changes += [Change(cls, ref, None) for ref in old if ref not in new]
    return changes


def miscounted(state: State, counts: Mapping[str, Any]) -> list[str]:
    """The classes that the pool counts other numbers of (``valid_ref_counts``): their ends were not told, as those of tasks sometimes.

    Messages are in no table of the pool, and are not all here.
    """
    counted = {_BY_LOWER_CASE.get(name.lower()): int(count) for name, count in counts.items()}
    return [cls for cls in CLASSES if cls != "message" and counted.get(cls, len(state[cls])) != len(state[cls])]


def pieces(changes: list[Change]) -> Iterator[list[Change]]:
    """The same, at most ``MOST_CHANGES`` at a time."""
    for start in range(0, len(changes), MOST_CHANGES):
        yield changes[start : start + MOST_CHANGES]


def slim(value: Any, shared: dict[str, str]) -> Any:
    """A record, or a part of one, with dates as text. Equal texts become one: references, names of fields and most values repeat."""
    kind = type(value)
    if kind is str:
        return shared.setdefault(value, value)
    if kind is dict:
        return {sys.intern(key): slim(item, shared) for key, item in value.items()}
    if kind is list:
        return [slim(item, shared) for item in value]
    if kind is xmlrpc.client.DateTime:
        return str(value)
    return value


def _put(known: dict[str, Record], change: Change) -> None:
    if change.record is None:
        known.pop(change.ref, None)
    else:
        known[change.ref] = change.record


def _surplus(messages: dict[str, Record]) -> list[str]:
    """The oldest, when there are too many. XAPI writes times so that their order is that of texts."""
    if len(messages) <= MOST_MESSAGES:
        return []
    by_age = sorted(messages, key=lambda ref: messages[ref]["timestamp"])
    return by_age[: len(messages) - MOST_MESSAGES]
