"""A copy's way in: what it needs of things that are few is had before either of its ends is opened.

An end that stands open takes a disk, a connection and a task from a pool; who waits for its turn has none of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from xo_warmig.disks.budget import Budget, Share

BUDGET = Budget()
TOLD_AFTER_SECONDS = 1.0  # whoever waits for less need not tell of it

Result = TypeVar("Result")
Tell: TypeAlias = Callable[[str], Awaitable[None]]
"""Told what is waited for; with "" that it is not any more."""


async def nobody(why: str) -> None:
    """Is not interested."""


async def told_if_long(waiting: Awaitable[Result], tell: Tell, why: str) -> Result:
    """The result. Cancelling this cancels ``waiting``."""
    task = asyncio.ensure_future(waiting)
    told = False
    try:
        await asyncio.wait({task}, timeout=TOLD_AFTER_SECONDS)
        if not task.done():
            told = True
            await tell(why)
        return await task
    finally:
        task.cancel()
        if told:
            await tell("")


class Admission:
    """Of one copy, or one read-back: a share of the buffers, in turn. Whoever made it lets it ``leave``."""

    def __init__(self, *, urgent: bool = False, tell: Tell = nobody) -> None:
        """``urgent``: a VM is down meanwhile, so it does not wait for ordinary ones to end."""
        self.urgent = urgent
        self.tell = tell
        self._share: Share | None = None
        self._entered = asyncio.Event()

    async def enter(self) -> Share:
        """The share; the same one each time. May be cancelled."""
        if self._share is None:
            self._share = await self._placed()
            self._entered.set()
        return self._share

    async def _placed(self) -> Share:
        place = BUDGET.enter(urgent=self.urgent)
        if place.done():
            return place.result()
        waiting = asyncio.wrap_future(place)
        try:
            return await told_if_long(waiting, self.tell, "as many disks as may be are copied by this server")
        except BaseException:
            if not place.cancel():
                place.result().leave()
            raise

    async def entered(self) -> None:
        """Waits until it has entered."""
        await self._entered.wait()

    def leave(self) -> None:
        """All buffers were given back. May be called twice, and without having entered."""
        share, self._share = self._share, None
        if share is not None:
            share.leave()
