"""What becomes of each frame of one connection: passed on as it is, answered here, or changed on its way back."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from xo_warmig.api.connection import Calls
from xo_warmig.api.dispatch import refusal
from xo_warmig.api.flight import Flight
from xo_warmig.api.framing import Refused, Request, parse
from xo_warmig.api.gateway.messages import methods
from xo_warmig.api.gateway.messages.caller import Caller
from xo_warmig.api.gateway.messages.desk import Desk
from xo_warmig.api.gateway.messages.frame import Frame, Odd, look
from xo_warmig.api.gateway.messages.identity import SIGN_INS, SIGN_OUT
from xo_warmig.api.gateway.messages.learning import LEARNT_FROM, learn
from xo_warmig.api.gateway.messages.leg import Leg
from xo_warmig.api.gateway.messages.questions import Answer, LegGone, Questions
from xo_warmig.api.gateway.messages.returning import changed
from xo_warmig.api.gateway.messages.watches import Watch, Watches
from xo_warmig.api.gateway.supplements import Supplements
from xo_warmig.api.line import Line
from xo_warmig.api.method import Services
from xo_warmig.api.outbox import Outbox
from xo_warmig.api.session import Session
from xo_warmig.api.settings import MOST_FRAME_BYTES, ApiSettings
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import INVALID_REQUEST, XoError
from xo_warmig.errors import NoSuchObject

log = logging.getLogger(__name__)

_MOST_HELD_SECONDS: Final = 5.0  # of the answer to a sign-in
_NULL: Final = msgspec.Raw(b"null")


class Surroundings(NamedTuple):
    """What all connections of a gateway share. ``learns``: pools' passwords, from calls that pass."""

    services: Services
    calls: Calls
    settings: ApiSettings
    supplements: Supplements
    learns: bool


class Conversation:
    """Fits ``hub.Listener``: told of our tasks once upstream has said who is signed in, and of nothing else."""

    follows_pools = False  # upstream tells of its own

    def __init__(self, around: Surroundings, leg: Leg, line: Line, address: str) -> None:
        self.session = Session(address)
        self.outbox = Outbox()
        self.upstream = Questions(leg.send)
        self._around = around
        self._leg = leg
        self._line = line
        self._caller = Caller(self.upstream, self.session)
        self._desk = Desk(around.services, self.upstream, address)
        self._watches = Watches(learns=around.learns)
        self._flight = Flight(around.settings)
        self._limit_frames()

    async def from_client(self, frame: str | bytes) -> bool:
        """False where it signs in with a token of ours: such a frame goes nowhere. Raises LegGone."""
        text = frame if isinstance(frame, str) else frame.decode(errors="replace")
        seen = look(text)
        if seen is Odd.BATCH or seen is Odd.TOO_DEEP:
            self._refuse_odd(text, seen)
        elif isinstance(seen, Frame) and seen.method is not None and self._concerns_us(seen.method):
            return await self._take(seen.method, seen, text)
        else:
            await self._leg.send(text)
        return True

    async def from_upstream(self, data: bytes) -> str | None:
        """What the client gets of it now."""
        if self._watches.waiting or self.upstream.waiting:
            seen = look(data)
            if isinstance(seen, Frame):
                if self.upstream.take(seen):
                    return None
                if (watch := self._watches.take(seen)) is not None:
                    self._flight.leave(watch.request, watch.size_bytes)
                    return await self._given_back(watch.request, seen, data)
        return _text_of(data)

    def _limit_frames(self) -> None:
        """A stranger's frame is held in memory before anything is known of it."""
        is_stranger = self.session.user_id is None
        most = self._around.settings.most_frame_bytes_before_sign_in
        self._line.take_frames_up_to(most if is_stranger else MOST_FRAME_BYTES)

    def _concerns_us(self, method: str) -> bool:
        return self._watches.wants(method) or methods.may_be_ours(method)

    async def _take(self, method: str, seen: Frame, text: str) -> bool:
        """See ``from_client``."""
        message = parse(seen.readable)
        if isinstance(message, Request) and method in SIGN_INS and self._is_ours(message.params):
            return False
        busy = self._flight.refusal(message, len(text), signed_in=self.session.user_id is not None)
        if isinstance(message, Request) and busy is not None:
            self._refuse(message.id, busy)
        elif isinstance(message, Request) and methods.is_ours(message, self._is_migration):
            who = await self._caller.ask()
            self._flight.enter(message, len(text))
            self._around.calls.start(self._answer(message, who, len(text)))
        elif isinstance(message, Refused) and method in methods.LISTED:
            self._refuse(message.id, XoError(message.code, message.message))
        elif method not in methods.LISTED:
            if isinstance(message, Request) and seen.key is not None and self._watches.wants(method):
                self._watch(seen.key, Watch(message, len(text)))
            await self._leg.send(text)
        return True

    def _watch(self, key: float | str, watch: Watch) -> None:
        self._flight.enter(watch.request, watch.size_bytes)
        given_up = self._watches.put(key, watch)
        if given_up is not None:
            self._flight.leave(given_up.request, given_up.size_bytes)

    async def _answer(self, request: Request, who: Answer | None, size_bytes: int) -> None:
        try:
            text = await self._desk.answer(request, who)
        except LegGone:
            return
        finally:
            self._flight.leave(request, size_bytes)
        if text is not None:
            self.outbox.put_answer(text)

    async def _given_back(self, request: Request, answer: Frame, data: bytes) -> str | None:
        if request.method in SIGN_INS or request.method == SIGN_OUT:
            if self._caller.passed(request.method, answer):
                self._around.calls.start(self._give_when_known(_text_of(data)))
                return None
            self._limit_frames()
        elif request.method in LEARNT_FROM and answer.result is not None and isinstance(request.params, dict):
            book = self._around.services.servers
            self._around.calls.start(learn(request.method, request.params, self.upstream, book))
        ours = await changed(request, answer, self._around.services, self._around.supplements)
        return _text_of(data) if ours is None else ours

    async def _give_when_known(self, text: str | None) -> None:
        """A client that has the answer to its sign-in is told of tasks, and may send large frames, from then on."""
        settling = asyncio.create_task(self._caller.settle())
        await asyncio.wait({settling}, timeout=_MOST_HELD_SECONDS)
        self._limit_frames()
        if text is not None:
            self.outbox.put_answer(text)
        await settling
        self._limit_frames()

    def _is_ours(self, params: Mapping[str, Any] | list[Any]) -> bool:
        """Whether a sign-in is with a token of this server, be it valid or not."""
        given = [] if isinstance(params, list) else [params.get("token"), params.get("token?")]
        tokens = self._around.services.accounts.tokens
        return any(isinstance(token, str) and tokens.knows(token) for token in given)

    def _is_migration(self, id: str) -> bool:
        try:
            self._around.services.engine.report(id)
        except NoSuchObject:
            return False
        return True

    def _refuse_odd(self, text: str, seen: Odd) -> None:
        """A call within would reach upstream without having been looked at."""
        if seen is Odd.TOO_DEEP:
            self._refuse(_NULL, XoError(INVALID_REQUEST, f"invalid message: {seen.value}"))
            return
        messages = parse(text)
        error = XoError(INVALID_REQUEST, "invalid batch: xo-server cannot answer one, so none is passed on")
        ids = (
            [one.id for one in messages if isinstance(one, Request | Refused)]
            if isinstance(messages, list)
            else [_NULL]
        )
        if ids:
            self.outbox.put_answer(to_json([refusal(id, error.code, error.message) for id in ids]))

    def _refuse(self, id: msgspec.Raw, error: XoError) -> None:
        self.outbox.put_answer(to_json(refusal(id, error.code, error.message)))


def _text_of(data: bytes) -> str | None:
    """Browsers break on binary frames, so all are given as text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        log.warning("upstream sent a frame of %s bytes that is no text; it was dropped", len(data))
        return None
