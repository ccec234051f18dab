"""The text of ``VM.snapshot_metadata``: a record as XAPI writes it, ``(('field' 'value') ...)``."""

from collections.abc import Mapping
from typing import Any


def metadata_text(ref: str, record: Mapping[str, Any]) -> str:
    """A VM's record with its reference."""
    return _map({"ref": ref} | {name: _value(value) for name, value in record.items()})


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"({' '.join(_quoted(str(item)) for item in value)})"
    if isinstance(value, dict):
        return _map({str(key): str(item) for key, item in value.items()})
    return str(value)


def _map(entries: Mapping[str, str]) -> str:
    return f"({' '.join(f'({_quoted(key)} {_quoted(text)})' for key, text in entries.items())})"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
