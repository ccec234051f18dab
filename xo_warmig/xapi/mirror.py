"""A copy of one pool's records, kept current by its events for as long as it is wanted."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.xapi import mirrored
from xo_warmig.xapi.mirrored import CLASSES, Change, State

WAIT_SECONDS = 60.0
"""How long the pool holds an answer back when nothing happens; less than ``rpc.ANSWER_SECONDS``."""
REST_SECONDS = 0.2
"""Between an answer and the next question: what happens meanwhile comes as one."""
POLL_SECONDS = 5.0
"""Between two looks at a release without ``event.from``, which came with 6.1."""
ANEW_SECONDS = 1.0
RECOUNT_SECONDS = 60.0
"""A class whose count differs is read again no more often: should a release count otherwise, that is no reason to read for ever."""

# What is known stays right up to then, but what happened since will not be told.
_LOST: Final = frozenset({"EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"})

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a mirror needs of ``Connection``."""

    @property
    def session(self) -> str: ...

    async def call(self, method: str, *arguments: Any) -> Any: ...

    async def wait(self, method: str, *arguments: Any) -> Any: ...


class Mirror:
    """The records of one pool. While the pool is away, what was known of it stays."""

    def __init__(
        self,
        pool: str,
        source: Source,
        answered: Callable[[], asyncio.Event],
        tell: Callable[[list[Change]], None],
    ) -> None:
        """Begin to read. ``pool``: its uuid. ``answered`` gives what is set when the pool answers again (``Server.answered``).

        ``tell`` is called on the event loop with what changed, after it is in ``state``; at first with everything.
        """
        self.pool = pool
        self.state: State = mirrored.nothing()
        self.asked = asyncio.Event()
        """Set when the first reading is over, well or not."""
        self._source = source
        self._answered = answered
        self._tell = tell
        self._token = ""
        self._session = ""  # the one that the token was given in
        self._polls = False
        self._recount_at: dict[str, float] = {}
        self._follower = asyncio.get_running_loop().create_task(self._follow(), name=f"mirror of {pool}")

    def end(self) -> list[Change]:
        """Read no more, and forget everything: what is to be told of that. A question that waits goes on until the pool is left."""
        self._follower.cancel()
        self.asked.set()
        before, self.state = self.state, mirrored.nothing()
        return mirrored.difference(before, self.state)

    async def ended(self) -> None:
        """After ``end``: until nothing of it runs on the event loop."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._follower

    async def _follow(self) -> None:
        while True:
            answered = (
                self._answered()
            )  # taken before the question: an answer to others since then is worth another try
            try:
                await self._step()
            except Exception as error:
                await self._recover(error, answered)
            else:
                self.asked.set()
                await asyncio.sleep(POLL_SECONDS if self._polls else REST_SECONDS)

    async def _step(self) -> None:
        if self._polls:
            await self._poll()
        elif not self._token or self._source.session != self._session:
            await self._read()
        else:
            await self._hear()

    async def _recover(self, error: Exception, answered: asyncio.Event) -> None:
        """Wait until asking again makes sense. A token outlives a broken connection, as long as the session does."""
        if isinstance(error, PoolError) and error.code == "MESSAGE_METHOD_UNKNOWN" and not self._polls:
            self._polls = True  # the first reading is not over: it is to be done in the other way
            return
        self.asked.set()
        match error:
            case PoolUnreachable():
                log.info("the mirror of %s waits: %s", self.pool, error)
            case PoolError(code=code) if code in _LOST:
                self._token = ""
                await asyncio.sleep(ANEW_SECONDS)
                return
            case PoolError():
                log.warning("the mirror of %s begins anew: %s", self.pool, error)
                self._token, self._polls = "", False
            case _:  # a mistake of ours, or an answer like none before
                log.exception("the mirror of %s begins anew", self.pool, exc_info=error)
                self._token, self._polls = "", False
        await answered.wait()

    async def _read(self) -> None:
        """Everything, anew."""
        session = self._source.session
        answer = await self._ask(CLASSES, "", WAIT_SECONDS)
        await self._become(await asyncio.to_thread(mirrored.state_of, answer["events"]))
        self._token, self._session = answer["token"], session

    async def _hear(self) -> None:
        answer = await self._ask(CLASSES, self._token, WAIT_SECONDS)
        await self._told(mirrored.merge(self.state, mirrored.changes_in(answer["events"])))
        self._token = answer["token"]
        await self._recount(answer.get("valid_ref_counts", {}))

    async def _recount(self, counts: dict[str, Any]) -> None:
        """Read the classes again that the pool counts otherwise."""
        now = asyncio.get_running_loop().time()
        wrong = [cls for cls in mirrored.miscounted(self.state, counts) if now >= self._recount_at.get(cls, 0.0)]
        if not wrong:
            return
        log.info("the mirror of %s reads again, as their number is not right: %s", self.pool, ", ".join(wrong))
        self._recount_at |= dict.fromkeys(wrong, now + RECOUNT_SECONDS)
        answer = await self._ask(wrong, "", 0.0)
        read = mirrored.state_of(answer["events"])
        await self._become(self.state | {cls: read[cls] for cls in wrong})

    async def _poll(self) -> None:
        """Class by class, as a release may not have all of them."""
        events = []
        for cls in CLASSES:
            try:
                records = await self._source.call(f"{cls}.get_all_records")
            except PoolError as error:
                if error.code != "MESSAGE_METHOD_UNKNOWN":
                    raise
                continue
            events += [
                {"class": cls, "operation": "add", "ref": ref, "snapshot": record} for ref, record in records.items()
            ]
        await self._become(await asyncio.to_thread(mirrored.state_of, events))

    async def _ask(self, classes: Sequence[str], token: str, seconds: float) -> dict[str, Any]:
        answer: dict[str, Any] = await self._source.wait("event.from", list(classes), token, seconds)
        return answer

    async def _become(self, after: State) -> None:
        """What others hold of ``state`` stays the one that is current."""
        changes = await asyncio.to_thread(mirrored.difference, self.state, after)
        await self._told(mirrored.merge(self.state, changes))

    async def _told(self, changes: list[Change]) -> None:
        for piece in mirrored.pieces(changes):
            self._tell(piece)
            await asyncio.sleep(0)  # others have their turn
