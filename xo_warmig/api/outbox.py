"""What waits to be sent on one connection: answers in their order, and notifications, of which a slow reader gets the latest.

Pending ``all`` items coalesce by object, pending reports by migration. Events are kept in order, up to a number; a reader that is slower
than that finds the gap by asking for the migration's events.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from xo_warmig.api.state_file import to_json
from xo_warmig.model.reports import MigrationReport

MOST_EVENTS: Final = 1000
FULL_BYTES: Final = 1024 * 1024
EXIT: Final = 0  # XO's value of an item that is gone


class Outbox:
    """Filled by calls and by the hub, emptied by the connection's sender."""

    def __init__(self) -> None:
        self._answers: deque[tuple[str, asyncio.Event]] = deque()
        self._on_its_way: asyncio.Event | None = None
        self._is_closed = False
        self._answer_bytes = 0
        self._objects: dict[str, Any] = {}
        self._reports: dict[str, MigrationReport] = {}
        self._events: deque[tuple[str, object]] = deque(maxlen=MOST_EVENTS)
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def put_answer(self, text: str) -> asyncio.Event:
        """The event comes when it was taken: when the next text was asked for after it, or never will be."""
        taken = asyncio.Event()
        if self._is_closed:
            taken.set()
            return taken
        self._answers.append((text, taken))
        self._answer_bytes += len(text)
        self._quiet.clear()
        if self._answer_bytes > FULL_BYTES:
            self._has_room.clear()
        self._filled.set()
        return taken

    def close(self) -> None:
        """Nobody takes anything any more."""
        self._is_closed = True
        for _, taken in self._answers:
            taken.set()
        self._answers.clear()
        self._answer_bytes = 0
        self._answered()
        self._has_room.set()
        self._quiet.set()

    @property
    def is_closed(self) -> bool:
        """Whether what is put here goes nowhere."""
        return self._is_closed

    def put_object(self, id: str, value: Any) -> None:
        """An XO object as it is now, or ``EXIT``."""
        self._objects[id] = value
        self._filled.set()

    def put_migration(self, report: MigrationReport, event: object | None) -> None:
        self._reports[report.id] = report
        if event is not None:
            self._events.append((report.id, event))
        self._filled.set()

    async def room(self) -> None:
        """Wait while answers pile up: who does not read is not read."""
        await self._has_room.wait()

    async def sent(self) -> None:
        """Wait until every answer was given by ``next``, and the next text was asked for after it."""
        await self._quiet.wait()

    async def next(self) -> str:
        """The next text to send: answers first."""
        self._answered()
        if not self._answers:
            self._quiet.set()
        while True:
            await self._filled.wait()
            text = self._next()
            if text is not None:
                return text
            self._filled.clear()

    def _answered(self) -> None:
        if self._on_its_way is not None:
            self._on_its_way.set()
            self._on_its_way = None

    def _next(self) -> str | None:
        if self._answers:
            text, self._on_its_way = self._answers.popleft()
            self._answer_bytes -= len(text)
            if self._answer_bytes <= FULL_BYTES:
                self._has_room.set()
            return text
        if self._objects:
            return self._next_objects()
        if self._events:
            migration, event = self._events.popleft()
            last = not any(other == migration for other, _ in self._events)
            report = self._reports.pop(migration) if last else self._reports[migration]
            return _notification("warmMigration", {"report": report, "event": event})
        if self._reports:
            report = self._reports.pop(next(iter(self._reports)))
            return _notification("warmMigration", {"report": report, "event": None})
        return None

    def _next_objects(self) -> str:
        """One ``enter`` with all that changed, then one ``exit``."""
        entered = {id: value for id, value in self._objects.items() if value != EXIT}
        kind = "enter" if entered else "exit"
        items = entered or dict(self._objects)
        self._objects = _without(self._objects, items)
        return _notification("all", {"type": kind, "items": items})


def _without(items: dict[str, Any], sent: Iterable[str]) -> dict[str, Any]:
    gone = set(sent)
    return {id: value for id, value in items.items() if id not in gone}


def _notification(method: str, params: dict[str, Any]) -> str:
    return to_json({"jsonrpc": "2.0", "method": method, "params": params})
