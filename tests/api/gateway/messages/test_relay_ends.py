"""The ends of a connection that no real client brings about in time."""

import asyncio
from typing import Any

from xo_warmig.api.gateway.messages.leg import End
from xo_warmig.api.gateway.messages.questions import Questions
from xo_warmig.api.gateway.messages.relay import Relay
from xo_warmig.api.line import LineDead
from xo_warmig.api.outbox import Outbox


class Silent:
    """Upstream's side, which says nothing."""

    def __init__(self) -> None:
        self.closed = False

    async def send(self, text: str) -> None: ...

    async def next(self) -> End:
        await asyncio.Event().wait()
        return End(None)

    async def close(self, code: int) -> None:
        self.closed = True


class Deaf:
    """A client's side that takes nothing, until that is noticed."""

    async def send_text(self, text: str) -> None:
        await asyncio.sleep(0.02)
        raise LineDead


class SigningIn:
    """Whatever comes is a sign-in with a token of ours, while an answer is still to be taken."""

    def __init__(self, leg: Silent) -> None:
        self.outbox = Outbox()
        self.outbox.put_answer("an answer")
        self.upstream = Questions(leg.send)

    async def from_client(self, frame: str | bytes) -> bool:
        return False


async def test_a_client_that_takes_nothing_does_not_change_sides() -> None:
    """It is given up, with all that was held for it."""
    leg = Silent()
    conversation: Any = SigningIn(leg)
    line: Any = Deaf()

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.receive", "text": "{}"}

    async with asyncio.timeout(5):
        assert await Relay(conversation, leg, line).run(receive) is None  # type: ignore[arg-type]
    assert leg.closed
