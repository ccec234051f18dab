"""Answers the calls that are ours, for whom upstream says that the caller is."""

import dataclasses
from functools import partial
from typing import Any

import msgspec

from xo_warmig.api.dispatch import Dispatcher, refusal
from xo_warmig.api.framing import Request
from xo_warmig.api.gateway.messages import methods
from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.gateway.messages.identity import user_of
from xo_warmig.api.gateway.messages.questions import Answer, Questions
from xo_warmig.api.gateway.messages.unknown_pools import explained
from xo_warmig.api.method import Services
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import NO_DATA

_NO_SUCH_OBJECT = 1


class Desk:
    """Of one connection. ``services``: those of a server that stands alone."""

    def __init__(self, services: Services, upstream: Questions, address: str) -> None:
        own = methods.table(partial(explained, upstream=upstream))
        self._dispatcher = Dispatcher(dataclasses.replace(services, methods=own))
        self._address = address

    async def answer(self, request: Request, who: Answer | None) -> str | None:
        """The text to send back. ``who`` is what upstream will say; None: nobody has signed in.

        Raises:
            LegGone: it never said; nothing was done.
        """
        session = Session(self._address)
        if who is not None:
            said = await who
            user = user_of(said.result)
            if user is not None:
                session.visit(user)
            elif (deleted := _deleted(said)) is not None:
                return to_json(refusal(request.id, _NO_SUCH_OBJECT, *deleted))
        return await self._dispatcher.answer(request, session)


def _deleted(said: Frame) -> tuple[str, Any] | None:
    """XO's error for any call of a user who is there no more: its message and data."""
    error: Any = {} if said.error is None else msgspec.json.decode(said.error)
    if not isinstance(error, dict) or error.get("code") != _NO_SUCH_OBJECT:
        return None
    return str(error.get("message")), error.get("data", NO_DATA)
