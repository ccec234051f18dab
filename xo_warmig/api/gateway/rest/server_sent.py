"""What a server-sent event says. Pure."""

from typing import Any, Final

import msgspec

END: Final = b"\n\n"
"""Where one ends."""


def parsed(event: bytes) -> tuple[str, dict[str, Any]]:
    """Its kind and its data; empty ones where it has none."""
    fields = dict(line.partition(b": ")[::2] for line in event.split(b"\n"))
    try:
        data = msgspec.json.decode(fields.get(b"data", b"{}"), type=dict[str, Any])
    except msgspec.DecodeError:
        data = {}
    return fields.get(b"event", b"").decode(errors="replace"), data
