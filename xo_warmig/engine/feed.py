"""Who watches: notices fan out to any number of readers, and a slow one costs nobody anything."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from xo_warmig.model.events import Event
from xo_warmig.model.reports import MigrationReport

# A reader that is this many facts behind loses the oldest; the latest report of each migration it always gets.
MOST_PENDING = 512


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A migration as it is now, and the durable fact that made it so; None for mere progress."""

    report: MigrationReport
    event: Event | None


class _Reader:
    """One reader's pending notices: facts in order, and of mere progress the latest by migration."""

    def __init__(self) -> None:
        self.facts: deque[Notice] = deque()
        self.progress: dict[str, Notice] = {}
        self.ready = asyncio.Event()

    def put(self, notice: Notice) -> None:
        migration = notice.report.id
        # Whatever progress was pending is older than this.
        self.progress.pop(migration, None)
        if notice.event is None:
            self.progress[migration] = notice
        else:
            self.facts.append(notice)
            if len(self.facts) > MOST_PENDING:
                self._give_up_oldest()
        self.ready.set()

    def _give_up_oldest(self) -> None:
        lost = self.facts.popleft()
        migration = lost.report.id
        if all(each.report.id != migration for each in self.facts):
            self.progress.setdefault(migration, Notice(report=lost.report, event=None))

    async def next(self) -> Notice:
        while not self.facts and not self.progress:
            self.ready.clear()
            await self.ready.wait()
        if self.facts:
            return self.facts.popleft()
        return self.progress.pop(next(iter(self.progress)))


class Feed:
    """All readers."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    @property
    def watched(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    def publish(self, notice: Notice) -> None:
        """Give a notice to every reader; never waits."""
        for reader in self._readers:
            reader.put(notice)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Notice]]:
        """All notices from here on, for as long as the context is open."""
        reader = _Reader()
        self._readers.add(reader)
        try:
            yield _notices(reader)
        finally:
            self._readers.discard(reader)


async def _notices(reader: _Reader) -> AsyncIterator[Notice]:
    while True:
        yield await reader.next()
