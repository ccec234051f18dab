"""One migration's facts at hand: the only place where a fact is added, and where its state, report and watchers follow from it."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from xo_warmig.engine.feed import Feed, Notice
from xo_warmig.engine.live import LivePass
from xo_warmig.engine.reports import make_report, progress_now
from xo_warmig.engine.state import MigrationState, apply
from xo_warmig.engine.store import Store
from xo_warmig.model.events import Event, PassFinished, PhaseChanged, Planned, WaitingChanged, Warned
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.reports import MigrationReport, Warning_
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.tasks import unbroken

log = logging.getLogger("xo_warmig.engine")


LONGEST_LOG_TEXT = 240


def _told(event: Event) -> str:
    """A fact for the log, on one short line. A plan has the VM's whole record in it, where secrets may stand."""
    match event:
        case Planned():
            return "Planned"
        case PassFinished(report=report):
            return f"PassFinished({report})"
    text = str(event)
    return text if len(text) <= LONGEST_LOG_TEXT else f"{text[:LONGEST_LOG_TEXT]}..."


class Journal:
    """One migration."""

    def __init__(self, migration: str, store: Store, feed: Feed, clock: Clock) -> None:
        self.id = migration
        self.live: LivePass | None = None
        self._state: MigrationState | None = None
        self._store = store
        self._feed = feed
        self._clock = clock
        self._order = asyncio.Lock()
        self._changed = asyncio.Event()
        self._progress = 0.0
        for event in store.events(migration):
            self._state = apply(self._state, event)

    @property
    def state(self) -> MigrationState:
        if self._state is None:
            raise LookupError(f"nothing was recorded of migration {self.id}")
        return self._state

    async def record(self, *events: Event) -> None:
        """Keep facts and let everything follow from them. Not interrupted half-way."""
        await unbroken(self._record(events))

    async def _record(self, events: tuple[Event, ...]) -> None:
        async with self._order:
            for recorded in await self._store.append(self.id, self._clock.now(), events):
                self._state = apply(self._state, recorded)
                log.info("migration %s: %s", self.id, _told(recorded.event))
                self._feed.publish(Notice(report=self.report(), event=recorded.event))
        self._changed.set()
        self._changed = asyncio.Event()

    async def enter(self, phase: Phase) -> None:
        """Go on to another phase; the table decides whether that is a way (``model.phases``)."""
        if self.state.phase is not phase:
            await self.record(PhaseChanged(phase=phase))

    async def warn(self, code: str, message: str, *, remedy: str = "", **evidence: object) -> None:
        """Tell the operator of something that stops nothing."""
        await self.record(Warned(warning=Warning_(code=code, message=message, evidence=evidence, remedy=remedy)))

    async def wait_for(self, waiting_for: WaitingFor, reason: str = "") -> None:
        """Say what it waits for, when that is new."""
        if self.state.waiting_for is not waiting_for:
            await self.record(WaitingChanged(waiting_for=waiting_for, reason=reason))

    def report(self) -> MigrationReport:
        """As it is now."""
        self._progress = progress_now(self.state, self.live, self._progress)
        return make_report(self.state, self.live, self._progress)

    @contextmanager
    def showing(self, live: LivePass) -> Iterator[None]:
        """Show a running pass in the reports."""
        self.live = live
        try:
            yield
        finally:
            self.report()  # what it reached is not lost when it is taken away
            self.live = None

    def publish_progress(self) -> None:
        """Tell the watchers of mere progress."""
        if self.live is not None:
            self.live.sample(self._clock.monotonic())
        self._feed.publish(Notice(report=self.report(), event=None))

    @property
    def progress(self) -> float:
        return self._progress

    async def changed(self) -> None:
        """Until another fact is recorded."""
        await self._changed.wait()
