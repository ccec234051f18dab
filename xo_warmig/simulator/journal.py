"""The database on disk: a line of JSON for each change, written as it happens, replayed and compacted at the next start.

A line is one ``write``; it is not synced, so it survives the end of the process, however that comes, but not that of the machine.
Sessions, tasks and the history of events are not kept, as with a toolstack that is restarted.
"""

import os
from pathlib import Path

import msgspec

from xo_warmig.simulator.database import TRANSIENT, Database, Row

RESTART_STEP = 10_000_000
"""By how much the generation jumps at a restart: tokens from before must be older, and changes of sessions and tasks are not counted."""


class Journal:
    """The journal of one database, in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._encoder = msgspec.json.Encoder()

    @property
    def exists(self) -> bool:
        """Whether there is a database to go on with."""
        return self.path.exists()

    def start(self, db: Database) -> None:
        """Writes all that the database has, then follows it."""
        with db.lock:
            self.close()
            self._write_all(db)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            db.journal = self.note

    def note(self, kind: str, cls: str, ref: str, fields: Row) -> None:
        """Appends one change."""
        if self._file is not None:
            os.write(self._file, self._line(kind, cls, ref, fields))

    def replay(self, db: Database) -> None:
        """Fills an empty database. A last line that was cut off is left out."""
        lines = self.path.read_bytes().split(b"\n")[:-1]
        head = msgspec.json.decode(lines[0])
        for line in lines[1:]:
            kind, cls, ref, fields = msgspec.json.decode(line)
            match kind:
                case "create":
                    db.create(cls, ref=ref, **fields)
                case "set":
                    db.set(cls, ref, **fields)
                case "delete":
                    db.delete(cls, ref)
        db.history.start_at(head["generation"] + RESTART_STEP)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write_all(self, db: Database) -> None:
        """The whole database into a new file that then takes the place of the old one."""
        new = self.path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(self._encoder.encode({"generation": db.generation}) + b"\n")
            for cls in db.classes:
                if cls not in TRANSIENT:
                    for ref, row in db.rows(cls).items():
                        file.write(self._line("create", cls, ref, row))
        new.replace(self.path)

    def _line(self, kind: str, cls: str, ref: str, fields: Row) -> bytes:
        return self._encoder.encode((kind, cls, ref, fields)) + b"\n"
