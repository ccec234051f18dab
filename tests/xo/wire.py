"""Records as XML-RPC brings them."""

import re
from typing import Any
from xmlrpc.client import DateTime

_TIME = re.compile(r"\d{8}T\d\d:\d\d:\d\dZ")


def over_the_wire(value: Any) -> Any:
    """JSON's integers as text, and times in XML-RPC's own type."""
    match value:
        case dict():
            return {key: over_the_wire(item) for key, item in value.items()}
        case list():
            return [over_the_wire(item) for item in value]
        case int() if not isinstance(value, bool):
            return str(value)
        case str() if _TIME.fullmatch(value):
            return DateTime(value)
    return value
