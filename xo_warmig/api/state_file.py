"""Small files of state: JSON, readable by this user only, replaced whole or not at all."""

import os
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from xo_warmig.errors import WarmigError

T = TypeVar("T")


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


class StateFile(Generic[T]):
    """One file that holds a value of one type."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self._kind = kind

    def read(self, otherwise: T) -> T:
        """The value, or ``otherwise`` when there is no file.

        Raises:
            WarmigError: code STATE_UNREADABLE, the file is there but is not what it should be.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return otherwise
        try:
            return msgspec.json.decode(content, type=self._kind)
        except msgspec.DecodeError as error:
            raise WarmigError(
                f"{self.path} is damaged",
                code="STATE_UNREADABLE",
                evidence={"file": str(self.path), "reason": str(error)},
                remedy="Put back a copy of the file, or move it away to start without what it held.",
            ) from error

    def write(self, value: T) -> None:
        write_private(self.path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def to_json(value: Any) -> str:
    """JSON text for the wire."""
    return msgspec.json.encode(value).decode()
