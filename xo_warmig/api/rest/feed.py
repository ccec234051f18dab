"""What happens to the objects and tasks that a client follows, by collection: what waits to be sent coalesces, so that a slow client costs
no more than the objects there are.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from xo_warmig.api.outbox import EXIT
from xo_warmig.api.rest.task import task_of
from xo_warmig.api.session import Session
from xo_warmig.model.reports import MigrationReport
from xo_warmig.xo.objects import XoObject

TASKS: Final = "task"
LOOK_SECONDS: Final = 2.0  # how late a client notices that it is not allowed any more


class Change(NamedTuple):
    """An object as it was when it was last told of, and as it is; None where there is none."""

    collection: str
    before: XoObject | None
    now: XoObject | None


class Feed:
    """Fits ``hub.Listener``. A collection is a type of XO objects; tasks are those of XO, not of pools."""

    follows_pools = True

    def __init__(self, session: Session) -> None:
        self.session = session
        self._known: dict[str, dict[str, XoObject]] = {}
        self._pending: dict[tuple[str, str], Change] = {}
        self._filled = asyncio.Event()

    @property
    def outbox(self) -> "Feed":
        """See ``Listener``."""
        return self

    def follow(self, collection: str, objects: Iterable[XoObject]) -> None:
        """From now on, beginning with these."""
        self._known[collection] = {each["id"]: each for each in objects}

    def leave(self, collection: str) -> bool:
        """Not any more; whether it was."""
        self._pending = {key: change for key, change in self._pending.items() if key[0] != collection}
        return self._known.pop(collection, None) is not None

    def put_object(self, id: str, value: Any) -> None:
        """See ``Inbox``."""
        kind = value["type"] if isinstance(value, dict) else None
        if kind == TASKS or (kind is None and value != EXIT):
            return
        for collection, known in self._known.items():
            if collection == kind:
                self._put(collection, id, value)
            elif collection != TASKS and id in known:  # gone, or of another type now
                self._put(collection, id, None)

    def put_migration(self, report: MigrationReport, event: object | None) -> None:
        """See ``Inbox``."""
        if TASKS in self._known:
            self.put_task(report.id, None if report.task_forgotten else task_of(report))

    def put_task(self, id: str, task: XoObject | None) -> None:
        """None: it is forgotten."""
        self._put(TASKS, id, task)

    async def changes(self, within_seconds: float) -> list[Change]:
        """Those since the last call, once there are any; none, when there were none in that time."""
        try:
            async with asyncio.timeout(max(0.0, within_seconds)):
                await self._filled.wait()
        except TimeoutError:
            return []
        self._filled.clear()
        changes, self._pending = list(self._pending.values()), {}
        return changes

    def is_allowed(self, now_ms: int) -> bool:
        """Whether its user may still see anything: an administrator, by a token that has not ended."""
        return self.session.is_admin and not self.session.user_is_gone and not self.session.has_expired(now_ms)

    def _put(self, collection: str, id: str, now: XoObject | None) -> None:
        known = self._known.get(collection)
        if known is None:
            return
        waiting = self._pending.pop((collection, id), None)
        before = known.get(id) if waiting is None else waiting.before
        if now is None:
            known.pop(id, None)
        else:
            known[id] = now
        if before is not None or now is not None:
            self._pending[collection, id] = Change(collection, before, now)
            self._filled.set()
