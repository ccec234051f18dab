"""What clients of an older release see of a value: records without the fields that came later. Inside, every pool has all fields."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datatype import DataType, EventBatch, MapOf, OptionOf, Record, SetOf
from xo_warmig.simulator.release import NEWEST


def visible(kind: DataType, value: Any, release: str) -> Any:
    """The value of that type as a pool of the release sends it."""
    return value if release == NEWEST or not _has_records(kind) else _visible(kind, value, release)


@cache
def _has_records(kind: DataType) -> bool:
    match kind:
        case Record() | EventBatch():
            return True
        case SetOf(item) | MapOf(_, item) | OptionOf(item):
            return _has_records(item)
    return False


def _visible(kind: DataType, value: Any, release: str) -> Any:
    match kind:
        case Record("event"):
            return _event(value, release)
        case Record(cls):
            known = datamodel.of_release(release).classes[cls].fields
            return {name: inner for name, inner in value.items() if name in known}
        case SetOf(Record("event")):
            return _events(value, release)
        case SetOf(item):
            return [_visible(item, inner, release) for inner in value]
        case MapOf(_, item):
            return {key: _visible(item, inner, release) for key, inner in value.items()}
        case OptionOf(item):
            return None if value is None else _visible(item, value, release)
        case EventBatch():
            return _batch(value, release)
    return value


def _event(value: Mapping[str, Any], release: str) -> dict[str, Any]:
    cls = datamodel.event_classes(release)[value["class"]]
    if "snapshot" not in value:
        return dict(value)
    return {**value, "snapshot": _visible(Record(cls), value["snapshot"], release)}


def _events(events: Iterable[Mapping[str, Any]], release: str) -> list[dict[str, Any]]:
    """Of the classes that there are."""
    known = datamodel.event_classes(release)
    return [_event(event, release) for event in events if event["class"] in known]


def _batch(value: Mapping[str, Any], release: str) -> dict[str, Any]:
    """Its counts are of the classes that there are, too."""
    known = datamodel.event_classes(release)
    events = _events(value["events"], release)
    counts = {cls: count for cls, count in value["valid_ref_counts"].items() if cls in known}
    return {**value, "events": events, "valid_ref_counts": counts}
