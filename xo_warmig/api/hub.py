"""Tells signed-in connections what happens: objects of pools and a task on show for each migration for everybody, as in XO, and reports
for administrators.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from xo_warmig.api.outbox import EXIT
from xo_warmig.api.ports import MigrationEngine, Notice
from xo_warmig.api.session import Session
from xo_warmig.api.tasks import Task, is_over, of_report
from xo_warmig.model.reports import MigrationReport

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0


class Inbox(Protocol):
    """Takes what a listener is told."""

    def put_object(self, id: str, value: Any) -> None:
        """An XO object as it is now, or ``EXIT``."""
        ...

    def put_migration(self, report: MigrationReport, event: object | None) -> None: ...


class Listener(Protocol):
    """A connection."""

    @property
    def session(self) -> Session: ...

    @property
    def outbox(self) -> Inbox: ...

    @property
    def follows_pools(self) -> bool:
        """Whether it is told of the objects of pools."""
        ...


class Hub:
    """``linger_seconds``: how long the task of a migration that ended stays on show. ``now_ms``: the clock, for the end of tokens.

    ``follow`` is called with each migration as it is when the hub begins, and again whenever it has changed. ``master_of``: the host that
    is a pool's master, where that is known.
    """

    def __init__(
        self,
        engine: MigrationEngine,
        *,
        linger_seconds: float,
        now_ms: Callable[[], int] = lambda: round(time.time() * 1000),
        follow: Callable[[MigrationReport], None] = lambda _: None,
        master_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._now_ms = now_ms
        self._follow = follow
        self._master_of = master_of
        self._linger_seconds = linger_seconds
        self._listeners: set[Listener] = set()
        self._ending: dict[str, asyncio.TimerHandle] = {}
        self._gone: set[str] = set()

    def join(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def sessions(self) -> list[Session]:
        """Of all who are connected, and of HTTP's streams."""
        return [listener.session for listener in self._listeners]

    def changed(self, user_id: str, *, is_admin: bool | None) -> None:
        """A user's connections are told what the user may see from now on; None: nothing, the user was deleted."""
        for listener in self._listeners:
            if listener.session.user_id == user_id:
                listener.session.is_admin = bool(is_admin)
                listener.session.user_is_gone = is_admin is None

    def tasks(self) -> list[Task]:
        """Those on show now."""
        reports = self._engine.reports()
        return [
            self._task_of(report)
            for report in reports
            if report.id not in self._gone
            and not report.task_forgotten
            and (report.id in self._ending or not is_over(report))
        ]

    def tell(self, id: str, value: Any) -> None:
        """An object of a pool as it is now; None: it is gone."""
        for listener in self._audience():
            if listener.follows_pools:
                listener.outbox.put_object(id, EXIT if value is None else value)

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        try:
            while True:
                try:
                    async with self._engine.watch() as notices:
                        for report in self._engine.reports():
                            self._follow(report)
                        async for notice in notices:
                            self._publish(notice)
                    return
                except Exception:
                    log.exception("notifications stopped; trying again in %s s", RETRY_SECONDS)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            for timer in self._ending.values():
                timer.cancel()

    def _publish(self, notice: Notice) -> None:
        report = notice.report
        self._follow(report)
        if report.task_forgotten and (timer := self._ending.get(report.id)) is not None:
            timer.cancel()
            self._remove_task(report.id)
        task = None if report.task_forgotten or report.id in self._gone else self._task_of(report)
        for listener in self._audience():
            if task is not None:
                listener.outbox.put_object(task.id, task)
            if listener.session.is_admin:
                listener.outbox.put_migration(report, notice.event)
        if task is not None and is_over(report) and report.id not in self._ending:
            loop = asyncio.get_running_loop()
            self._ending[report.id] = loop.call_later(self._linger_seconds, self._remove_task, report.id)

    def _task_of(self, report: MigrationReport) -> Task:
        return of_report(report, self._master_of(report.source_pool))

    def _remove_task(self, id: str) -> None:
        del self._ending[id]
        self._gone.add(id)
        for listener in self._audience():
            listener.outbox.put_object(id, EXIT)

    def _audience(self) -> list[Listener]:
        """A socket whose token ended stays open until its next message (as in XO), but is told nothing any more."""
        now_ms = self._now_ms()
        return [
            listener
            for listener in self._listeners
            if listener.session.user_id is not None
            and not listener.session.user_is_gone
            and not listener.session.has_expired(now_ms)
        ]
