"""Small files of state, readable by this user only and replaced whole or not at all; and JSON text."""

import os
from pathlib import Path
from typing import Any

import msgspec


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` with mode 0600; after a crash it holds the old or the new content."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.replace(beside, path)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any) -> str:
    """JSON text for the wire."""
    return msgspec.json.encode(value).decode()
