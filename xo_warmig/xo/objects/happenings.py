"""What goes on and went on in a pool: task and message."""

from typing import Any

from msgspec import UNSET

from xo_warmig.xo.objects.subject import Subject, XoObject
from xo_warmig.xo.objects.times import seconds


def task(of: Subject) -> XoObject:
    """A task of XAPI's. ``progress`` from 0 to 1."""
    return {
        "allowedOperations": of.items("allowed_operations"),
        "created": seconds(of.record.get("created")),
        "current_operations": of.map("current_operations"),
        "finished": seconds(of.record.get("finished")),
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "progress": of.number("progress"),
        "result": of.field("result"),
        "status": of.field("status"),
        "xapiRef": of.ref,
        "applies_to": _applies_to(of),
        "$host": of.link("resident_on", "host"),
    }


def message(of: Subject) -> XoObject:
    """A message of XAPI's about an object."""
    return {
        "body": of.field("body"),
        "name": of.field("name"),
        "time": seconds(of.record.get("timestamp")),
        "$object": of.field("obj_uuid"),
    }


def _applies_to(of: Subject) -> Any:
    """The uuid of what the task says that it is about."""
    named = of.map("other_config").get("applies_to")
    record = of.pool.find(named) if named else None
    return UNSET if record is None else record.get("uuid", UNSET)
