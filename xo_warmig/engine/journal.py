"""One migration's facts at hand: the only place where a fact is added, and where its state, report and watchers follow from it."""

import asyncio
import logging
from collections.abc import Callable

from xo_warmig.engine.feed import Feed, Notice
from xo_warmig.engine.fold import apply
from xo_warmig.engine.live import LivePass
from xo_warmig.engine.reports import make_report, progress_now
from xo_warmig.engine.state import MigrationState
from xo_warmig.engine.store import Store
from xo_warmig.model.events import Event, PassFinished, PhaseChanged, Planned, RecordedEvent, WaitingChanged, Warned
from xo_warmig.model.phases import Phase, WaitingFor
from xo_warmig.model.reports import MigrationReport, Warning_
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.tasks import unbroken

log = logging.getLogger("xo_warmig.engine")


LONGEST_LOG_TEXT = 240
Guard = Callable[[MigrationState], None]


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
        self.predict: Callable[[], float | None] | None = None  # the downtime of cutting over at this moment
        self._state: MigrationState | None = None
        self._store = store
        self._feed = feed
        self._clock = clock
        self._order = asyncio.Lock()
        self._changed = asyncio.Event()
        self._progress = 0.0
        self._count = 0
        for event in store.events(migration):
            self._state = apply(self._state, event)

    @property
    def state(self) -> MigrationState:
        if self._state is None:
            raise LookupError(f"nothing was recorded of migration {self.id}")
        return self._state

    async def record(self, *events: Event, guard: Guard | None = None) -> None:
        """Keep facts, all or none, and let everything follow from them. Not interrupted half-way.

        Args:
            guard: raises when the state at that very moment does not allow the facts; then nothing is kept.

        Raises:
            IncorrectState: a fact is a phase that may not follow.
        """
        await unbroken(self._record(events, guard))

    async def _record(self, events: tuple[Event, ...], guard: Guard | None) -> None:
        async with self._order:
            if guard is not None:
                guard(self.state)
            now = self._clock.now()
            self._try_out(events, now)
            for recorded in await self._store.append(self.id, now, events):
                self._state = apply(self._state, recorded)
                log.info("migration %s: %s", self.id, _told(recorded.event))
                self._publish(recorded.event)
        self._count += len(events)
        self._changed.set()
        self._changed = asyncio.Event()

    def _try_out(self, events: tuple[Event, ...], now: float) -> None:
        """What is stored must fold: raises before it is."""
        state = self._state
        for event in events:
            state = apply(state, RecordedEvent(migration=self.id, number=0, time=now, event=event))

    async def enter(self, phase: Phase, *with_it: Event, guard: Guard | None = None) -> None:
        """Go on to another phase; the table decides whether that is a way (``model.phases``). ``with_it``: facts that go with it."""
        if self.state.phase is not phase:
            await self.record(PhaseChanged(phase=phase), *with_it, guard=guard)

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
        predicted = self.state.predicted_downtime_seconds
        if self.state.phase is Phase.HOLDING and self.predict is not None:
            predicted = self.predict()
        return make_report(self.state, self.live, self._progress, predicted)

    def publish_progress(self) -> None:
        """Tell the watchers of mere progress."""
        if self.live is not None:
            self.live.sample(self._clock.monotonic())
        self._publish(None)

    def _publish(self, event: Event | None) -> None:
        """A report is only made where somebody reads it; the progress that it would show is kept all the same."""
        if self._feed.watched:
            self._feed.publish(Notice(report=self.report(), event=event))
        else:
            self._progress = progress_now(self.state, self.live, self._progress)

    @property
    def progress(self) -> float:
        return self._progress

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now()

    @property
    def count(self) -> int:
        """Of the facts that this process recorded: whoever looks at the state takes it with the look."""
        return self._count

    async def changed(self, since: int | None = None) -> None:
        """Until another fact is recorded; at once where one was since ``count`` was ``since``."""
        if since is None or since == self._count:
            await self._changed.wait()

    async def changed_within(self, seconds: float, since: int) -> None:
        """The same, but not longer than that."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        word = asyncio.ensure_future(self.changed(since))
        try:
            await asyncio.wait({sleeping, word}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            word.cancel()
            await asyncio.gather(sleeping, word, return_exceptions=True)
