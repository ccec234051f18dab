"""The trace on disk: a line of JSON for each entry, written as it happens, so that it survives a kill of the process."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

_NOT_OPEN = -1


class TraceFile:
    """One file. Not locked: the trace calls it under its own lock."""

    def __init__(self, path: Path) -> None:
        self.lines = 0
        self._path = path
        self._fd = _NOT_OPEN
        self._encoder = msgspec.json.Encoder()

    def read(self) -> list[tuple[str, msgspec.Raw]]:
        """Kind and value of each entry, the oldest first. A last line that was cut off is left out."""
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(line, type=tuple[str, msgspec.Raw]) for line in lines]

    def replace(self, entries: Sequence[tuple[str, msgspec.Struct]]) -> None:
        """From now on the file has just these, and what is appended."""
        new = self._path.with_suffix(".new")
        new.write_bytes(b"".join(self._line(kind, entry) for kind, entry in entries))
        new.replace(self._path)
        self.close()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self.lines = len(entries)

    def append(self, kind: str, entry: msgspec.Struct) -> None:
        os.write(self._fd, self._line(kind, entry))
        self.lines += 1

    def close(self) -> None:
        if self._fd != _NOT_OPEN:
            os.close(self._fd)
            self._fd = _NOT_OPEN

    def _line(self, kind: str, entry: msgspec.Struct) -> bytes:
        return self._encoder.encode((kind, entry)) + b"\n"
