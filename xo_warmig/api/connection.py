"""One websocket from its upgrade to its end: messages in, answers and notifications out.

Calls run side by side and are answered as they complete. A call outlives its connection, as in XO: its answer is then dropped. Reading
pauses while answers pile up, and a peer that does not read is dropped.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Send

from xo_warmig.api.dispatch import Dispatcher, refusal
from xo_warmig.api.flight import Flight
from xo_warmig.api.framing import Message, Refused, Request, parse
from xo_warmig.api.hub import Hub
from xo_warmig.api.large_answers import Turns, has_large_answer
from xo_warmig.api.line import Line, LineDead
from xo_warmig.api.outbox import Outbox
from xo_warmig.api.session import Session
from xo_warmig.api.settings import MOST_FRAME_BYTES, ApiSettings
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import XoError

POLICY_VIOLATION = 1008


class Calls:
    """The calls in flight of all connections. They end by themselves; those left at the server's end are cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Connection:
    """``now_ms``: the server's clock, for the end of tokens. ``wake`` is called when it is signed in: it is told of pools' objects then."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        hub: Hub,
        calls: Calls,
        settings: ApiSettings,
        now_ms: Callable[[], int],
        address: str,
        turns: Turns,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self.session = Session(address)
        self.outbox = Outbox()
        self._dispatcher = dispatcher
        self._hub = hub
        self._calls = calls
        self._flight = Flight(settings)
        self._settings = settings
        self._now_ms = now_ms
        self._turns = turns
        self._wake = wake

    @property
    def follows_pools(self) -> bool:
        """See ``Listener``."""
        return self._wake is not None

    async def run(self, receive: Receive, send: Send) -> None:
        """From an upgrade that was admitted to the end of the connection."""
        line = Line(receive, send, patience_seconds=self._settings.slow_reader_seconds)
        self._set_frame_limit(line)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        await self.serve(receive, line)

    async def serve(self, receive: Receive, line: Line, first: str | bytes | None = None) -> None:
        """From an accepted upgrade to the end. ``first`` is a frame that was received already."""
        self._set_frame_limit(line)
        self._hub.join(self)
        if first is not None:
            self._take(first, line)
        sender = asyncio.create_task(self._send_all(line))
        receiver = asyncio.create_task(self._receive_all(receive, line))
        try:
            await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self)
            self.outbox.close()
            sender.cancel()
            receiver.cancel()
            ends = await asyncio.gather(sender, receiver, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, LineDead):
                raise end

    async def _send_all(self, line: Line) -> None:
        while True:
            await line.send_text(await self.outbox.next())

    async def _receive_all(self, receive: Receive, line: Line) -> None:
        while (frame := frame_of(await receive())) is not None:
            if self.session.has_expired(self._now_ms()):
                await line.close(POLICY_VIOLATION, "the token has expired")
                return
            self._take(frame, line)
            await self.outbox.room()

    def _set_frame_limit(self, line: Line) -> None:
        """A stranger's frame is held in memory before anything is known of it."""
        is_stranger = self.session.user_id is None
        line.take_frames_up_to(self._settings.most_frame_bytes_before_sign_in if is_stranger else MOST_FRAME_BYTES)

    def _take(self, frame: str | bytes, line: Line) -> None:
        message = parse(frame)
        busy = self._flight.refusal(message, len(frame), signed_in=self.session.user_id is not None)
        if busy is None:
            self._flight.enter(message, len(frame))
            self._calls.start(self._answer_in_turn(message, len(frame), line))
            return
        for one in message if isinstance(message, list) else [message]:
            if isinstance(one, Request | Refused):
                self.outbox.put_answer(_busy_answer(one, busy))

    async def _answer_in_turn(self, message: Message | list[Message], size_bytes: int, line: Line) -> None:
        """One that is large waits for its turn, which lasts until it was taken."""
        user_id = self.session.user_id
        if user_id is None or not has_large_answer(message):
            await self._answer(message, size_bytes, line)
            return
        async with self._turns.turn(user_id):
            taken = None if self.outbox.is_closed else await self._answer(message, size_bytes, line)
            if taken is not None:
                await taken.wait()

    async def _answer(self, message: Message | list[Message], size_bytes: int, line: Line) -> asyncio.Event | None:
        """See ``Outbox.put_answer``; None: there is nothing to be taken."""
        try:
            text = await self._dispatcher.answer(message, self.session)
        finally:
            self._flight.leave(message, size_bytes)
            self._set_frame_limit(line)
        taken = None if text is None else self.outbox.put_answer(text)
        if self._wake is not None and self.session.user_id is not None:
            self._wake()
        return taken


def frame_of(message: AsgiMessage) -> str | bytes | None:
    """None: the peer has gone."""
    if message["type"] != "websocket.receive":
        return None
    text = message.get("text")
    frame: str | bytes = text if text is not None else message["bytes"]
    return frame


def _busy_answer(message: Request | Refused, busy: XoError) -> str:
    return to_json(refusal(message.id, busy.code, busy.message))
