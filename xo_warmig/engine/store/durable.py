"""The store that survives: facts in a database, on the disk before anybody acts on them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.projections import project, put_disk
from xo_warmig.engine.store.tables import disks, events, marks, migrations
from xo_warmig.errors import SafetyError
from xo_warmig.model.events import Event, Planned, RecordedEvent
from xo_warmig.model.passes import Mark

_EVENT = msgspec.json.Decoder(Event)
_MARK = msgspec.json.Decoder(Mark)


class DatabaseStore:
    """Facts are numbered from what this store wrote or found at first; a fact that is there already has another author."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: dict[str, int] = {}  # the number of the last fact, by migration; the writing thread's own

    async def append(self, migration: str, time: float, events: Sequence[Event]) -> list[RecordedEvent]:
        """Keep facts, all or none; when this returns they are on the disk.

        Raises:
            SafetyError: code TWO_WRITERS, somebody else wrote facts of this migration since (R16).
            WarmigError: the database cannot be written.
        """

        def keep(connection: Connection) -> list[RecordedEvent]:
            return _keep(connection, self._numbered(connection, migration, time, events))

        def remember(recorded: list[RecordedEvent]) -> None:
            if recorded:
                self._last[migration] = recorded[-1].number

        return await self._database.write_soon(keep, then=remember)

    def migrations(self) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.scalars(select(migrations.c.id).order_by(migrations.c.position)))

    def events(self, migration: str) -> list[RecordedEvent]:
        wanted = select(events.c.number, events.c.time, events.c.body).where(events.c.migration == migration)
        with self._database.reading() as connection:
            rows = connection.execute(wanted.order_by(events.c.number)).all()
        return [
            RecordedEvent(migration=migration, number=number, time=time, event=_EVENT.decode(body))
            for number, time, body in rows
        ]

    async def put_pending(self, migration: str, disk: str, blocks: bytes | None) -> None:
        await self._database.write_soon(lambda connection: put_disk(connection, migration, disk, pending=blocks))

    async def forget_pending(self, migration: str) -> None:
        there = (disks.c.migration == migration, disks.c.pending.is_not(None))
        await self._database.write_soon(
            lambda connection: connection.execute(update(disks).where(*there).values(pending=None))
        )

    def pending(self, migration: str, disk: str) -> bytes | None:
        wanted = select(disks.c.pending).where(disks.c.migration == migration, disks.c.disk == disk)
        with self._database.reading() as connection:
            return connection.scalar(wanted)

    async def put_mark(self, migration: str, disk: str, pass_number: int, mark: Mark | None) -> None:
        text = None if mark is None else msgspec.json.encode(mark).decode()

        def put(connection: Connection) -> None:
            connection.execute(delete(marks).where(marks.c.migration == migration, marks.c.disk == disk))
            if text is not None:
                values = {"migration": migration, "disk": disk, "pass_number": pass_number, "mark": text}
                connection.execute(insert(marks).values(**values))

        await self._database.write_soon(put)

    def mark(self, migration: str, disk: str, pass_number: int) -> Mark | None:
        wanted = select(marks.c.mark).where(marks.c.migration == migration, marks.c.disk == disk)
        with self._database.reading() as connection:
            text = connection.scalar(wanted.where(marks.c.pass_number == pass_number))
        return None if text is None else _MARK.decode(text)

    def _numbered(
        self, connection: Connection, migration: str, time: float, facts: Sequence[Event]
    ) -> list[RecordedEvent]:
        last = self._last.get(migration)
        if last is None:
            written = select(func.max(events.c.number)).where(events.c.migration == migration)
            last = connection.scalar(written) or 0
        if last == 0 and facts and not isinstance(facts[0], Planned):
            raise ValueError(f"the first fact of migration {migration} is {type(facts[0]).__name__}, not Planned")
        return [
            RecordedEvent(migration=migration, number=last + 1 + index, time=time, event=fact)
            for index, fact in enumerate(facts)
        ]


def _keep(connection: Connection, recorded: list[RecordedEvent]) -> list[RecordedEvent]:
    """The facts and what follows from them. A migration's own row comes first, because its facts refer to it."""
    if not recorded:
        return recorded
    begins = recorded[0].number == 1
    try:
        if begins:
            project(connection, recorded[0])
        connection.execute(insert(events), [_row(each) for each in recorded])
    except IntegrityError as error:
        raise SafetyError(
            f"facts of migration {recorded[0].migration} were written by somebody else; this process goes on with it no more",
            code="TWO_WRITERS",
            evidence={"rule": "R16", "migration": recorded[0].migration, "number": recorded[0].number},
            remedy="See that one server alone uses this database.",
        ) from error
    for each in recorded[1:] if begins else recorded:
        project(connection, each)
    return recorded


def _row(recorded: RecordedEvent) -> dict[str, object]:
    return {
        "migration": recorded.migration,
        "number": recorded.number,
        "time": recorded.time,
        "type": recorded.event.__struct_config__.tag,
        "body": msgspec.json.encode(recorded.event).decode(),
    }
