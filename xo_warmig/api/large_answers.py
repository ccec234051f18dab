"""Answers that are as large as all pools together: how many of them there may be at a time, from before they are made until their
clients took them. Who asks for many, or reads none, waits for its own; the server does not hold them all.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from xo_warmig.api.framing import Message, Request

LARGE: Final = frozenset({"xo.getAllObjects"})


class _OfUser(NamedTuple):
    """``here``: who has or awaits one of the user's turns."""

    turns: asyncio.Semaphore
    here: set[object]


class Turns:
    """``most`` of all users, ``most_of_one`` of one: a user who lets them lie does not keep the others from theirs."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._most_of_one = most_of_one
        self._users: dict[str, _OfUser] = {}

    @contextlib.asynccontextmanager
    async def turn(self, user_id: str) -> AsyncIterator[None]:
        """One of the user's, and of all."""
        of, me = self._users.setdefault(user_id, _OfUser(asyncio.Semaphore(self._most_of_one), set())), object()
        of.here.add(me)
        try:
            async with of.turns, self._all:
                yield
        finally:
            of.here.remove(me)
            if not of.here:
                del self._users[user_id]


def has_large_answer(message: Message | list[Message]) -> bool:
    """Whether any call in a message has such an answer."""
    messages = message if isinstance(message, list) else [message]
    return any(isinstance(one, Request) and one.method in LARGE for one in messages)
