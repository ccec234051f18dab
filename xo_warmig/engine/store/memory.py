"""A store that forgets."""

from collections.abc import Sequence

from xo_warmig.model.events import Event, RecordedEvent
from xo_warmig.model.passes import Mark


class MemoryStore:
    """Everything in memory, for tests."""

    def __init__(self) -> None:
        self._events: dict[str, list[RecordedEvent]] = {}
        self._pending: dict[tuple[str, str], bytes] = {}
        self._marks: dict[tuple[str, str], tuple[int, Mark]] = {}

    async def append(self, migration: str, time: float, events: Sequence[Event]) -> list[RecordedEvent]:
        log = self._events.setdefault(migration, [])
        recorded = [
            RecordedEvent(migration=migration, number=len(log) + 1 + index, time=time, event=event)
            for index, event in enumerate(events)
        ]
        log += recorded
        return recorded

    def migrations(self) -> list[str]:
        return list(self._events)

    def events(self, migration: str) -> list[RecordedEvent]:
        return list(self._events.get(migration, ()))

    async def put_pending(self, migration: str, disk: str, blocks: bytes | None) -> None:
        if blocks is None:
            self._pending.pop((migration, disk), None)
        else:
            self._pending[migration, disk] = blocks

    async def forget_pending(self, migration: str) -> None:
        self._pending = {key: blocks for key, blocks in self._pending.items() if key[0] != migration}

    def pending(self, migration: str, disk: str) -> bytes | None:
        return self._pending.get((migration, disk))

    async def put_mark(self, migration: str, disk: str, pass_number: int, mark: Mark | None) -> None:
        if mark is None:
            self._marks.pop((migration, disk), None)
        else:
            self._marks[migration, disk] = (pass_number, mark)

    def mark(self, migration: str, disk: str, pass_number: int) -> Mark | None:
        number, mark = self._marks.get((migration, disk), (0, None))
        return mark if number == pass_number else None
