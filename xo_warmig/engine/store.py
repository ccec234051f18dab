"""Where facts are kept. A durable store fits the same interface; this one forgets with the process."""

from typing import Protocol

from xo_warmig.model.events import Event, RecordedEvent


class EventStore(Protocol):
    """Append-only, in order, by migration."""

    async def append(self, migration: str, time: float, event: Event) -> RecordedEvent:
        """Keep a fact; when this returns it is as durable as the store is. The first fact of a migration makes it known."""
        ...

    def migrations(self) -> list[str]:
        """All ids, oldest first."""
        ...

    def events(self, migration: str) -> list[RecordedEvent]:
        """All facts of a migration in order; empty for one that is not known."""
        ...


class MemoryStore:
    """Facts in memory."""

    def __init__(self) -> None:
        self._events: dict[str, list[RecordedEvent]] = {}

    async def append(self, migration: str, time: float, event: Event) -> RecordedEvent:
        log = self._events.setdefault(migration, [])
        recorded = RecordedEvent(migration=migration, number=len(log) + 1, time=time, event=event)
        log.append(recorded)
        return recorded

    def migrations(self) -> list[str]:
        return list(self._events)

    def events(self, migration: str) -> list[RecordedEvent]:
        return list(self._events.get(migration, ()))
