"""Moves the frames of one connection both ways until either side ends.

Each side is read no faster than the other one takes, and an end on one side is an end on the other.
"""

import asyncio
import contextlib
from typing import Final, NamedTuple

from starlette.types import Receive

from xo_warmig.api.connection import frame_of
from xo_warmig.api.gateway.messages.conversation import Conversation
from xo_warmig.api.gateway.messages.leg import End, Leg
from xo_warmig.api.gateway.messages.questions import LegGone
from xo_warmig.api.line import Line, LineDead

GOING_AWAY: Final = 1001
_LAST_QUESTIONS_SECONDS: Final = 10.0
_NO_CODE: Final = 1005


class Gone(NamedTuple):
    """The client has closed, with this code."""

    code: int


class SignsInHere(NamedTuple):
    """The client signs in with a token of ours, by this frame: upstream has no part in what follows."""

    frame: str | bytes


class Relay:
    """One connection of a client, accepted already, and upstream's leg of it."""

    def __init__(self, conversation: Conversation, leg: Leg, line: Line) -> None:
        self._conversation = conversation
        self._leg = leg
        self._line = line

    async def run(self, receive: Receive) -> SignsInHere | None:
        """Until the end of either side, or the frame that changes sides; upstream's leg is closed then."""
        down = asyncio.create_task(self._down())
        up = asyncio.create_task(self._up(receive))
        sender = asyncio.create_task(self._send_all())
        try:
            await asyncio.wait((sender, up, down), return_when=asyncio.FIRST_COMPLETED)
            if up.done() and isinstance(up.exception(), LegGone):
                await asyncio.wait((sender, down), return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                return None
            if down.done():
                await self._end_client(down.result(), sender)
                return None
            return await self._leave(up.result(), sender)
        finally:
            self._conversation.upstream.close()
            ends = await _ended(sender, up, down)
            await self._leg.close(GOING_AWAY)
            for end in ends:
                if isinstance(end, Exception) and not isinstance(end, LineDead | LegGone):
                    raise end

    async def _leave(self, why: Gone | SignsInHere, sender: asyncio.Task[None]) -> SignsInHere | None:
        if isinstance(why, SignsInHere):
            return why if await self._all_sent(sender) else None
        # A call that was sent just before is made all the same, as in XO: only upstream's word is missing.
        await self._conversation.upstream.settled(_LAST_QUESTIONS_SECONDS)
        await self._leg.close(why.code)
        return None

    async def _end_client(self, end: End, sender: asyncio.Task[None]) -> None:
        """The client sees the end that it would have seen, after all that upstream sent before it."""
        await self._all_sent(sender)
        if end.code is None:
            self._line.drop()
            return
        with contextlib.suppress(LineDead):
            await self._line.close(1000 if end.code == _NO_CODE else end.code, end.reason)

    async def _all_sent(self, sender: asyncio.Task[None]) -> bool:
        """Whether the client took everything, or ``sender`` gave it up."""
        last = asyncio.create_task(self._conversation.outbox.sent())
        await asyncio.wait((last, sender), return_when=asyncio.FIRST_COMPLETED)
        last.cancel()
        return not sender.done()

    async def _send_all(self) -> None:
        while True:
            await self._line.send_text(await self._conversation.outbox.next())

    async def _up(self, receive: Receive) -> Gone | SignsInHere:
        while True:
            message = await receive()
            frame = frame_of(message)
            if frame is None:
                return Gone(message.get("code") or _NO_CODE)
            if not await self._conversation.from_client(frame):
                return SignsInHere(frame)
            await self._conversation.outbox.room()

    async def _down(self) -> End:
        while not isinstance(message := await self._leg.next(), End):
            text = await self._conversation.from_upstream(message)
            if text is not None:
                self._conversation.outbox.put_answer(text)
                await self._conversation.outbox.room()
        return message


async def _ended(*tasks: asyncio.Task[object]) -> list[object]:
    for task in tasks:
        task.cancel()
    return list(await asyncio.gather(*tasks, return_exceptions=True))
