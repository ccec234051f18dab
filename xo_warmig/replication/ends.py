"""The open ends of a disk: opened together, and closed so that the disks are seen free (R10)."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from xo_warmig.disks.threads import settled
from xo_warmig.errors import WarmigError
from xo_warmig.replication.ports import Blocks, Export, Import
from xo_warmig.replication.tasks import unbroken

log = logging.getLogger("xo_warmig.replication")

Result = TypeVar("Result")
End = TypeVar("End", Export, Blocks, Import)


class Ends:
    """The ends that one disk's copy has open at a time."""

    def __init__(self, *held: Import) -> None:
        self._open: list[Export | Blocks | Import] = list(held)
        self._closing: list[asyncio.Future[list[WarmigError]]] = []

    async def open(self, opening: Coroutine[Any, Any, End]) -> End:
        """Open one more. Opening is not abandoned half-way: what did open in spite of a cancellation is among the open ends."""

        async def keep() -> End:
            end = await opening
            self._open.append(end)
            return end

        return await unbroken(keep())

    def done(self, end: Export | Blocks | Import) -> None:
        """This one has finished."""
        self._open.remove(end)

    def close_beside(self, end: Export) -> None:
        """Abort this one while other things are done; ``closed`` sees that it is over."""
        self._open.remove(end)
        self._closing.append(asyncio.ensure_future(close_all(end)))

    async def closed(self) -> None:
        """All that are being closed are. Raises what kept any from being seen free."""
        for not_closed in await self._end_closing():
            raise not_closed

    async def close(self, *ends: Export | Blocks | Import) -> list[WarmigError]:
        """Abort these, or all when none is named; what kept any from being seen free."""
        going = list(ends) or self._open
        self._open = [end for end in self._open if end not in going]
        errors = await close_all(*going)
        return errors if ends else errors + await self._end_closing()

    async def _end_closing(self) -> list[WarmigError]:
        closing, self._closing = self._closing, []
        await settled(*closing)
        return [error for each in closing for error in each.result()]


async def close_all(*ends: Export | Blocks | Import) -> list[WarmigError]:
    """Abort these and see their disks free, even under cancellation (R10); what kept any from being seen free."""
    errors: list[WarmigError] = []

    async def close() -> None:
        outcomes = await asyncio.gather(*(end.abort() for end in ends), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                log.warning("a transfer could not be closed: %s", outcome)
            if isinstance(outcome, WarmigError):
                errors.append(outcome)

    if ends:
        await unbroken(close(), patience_seconds=None)
    return errors


async def pair(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Import]) -> tuple[Result, Import]:
    """Both, side by side, each to its end; then the first failure, if any."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        await asyncio.wait({first, second})
    finally:
        for task in (first, second):
            task.cancel()
        await settled(first, second)
    errors = [error for task in (first, second) if (error := task.exception()) is not None]
    if errors:
        raise errors[0]
    return first.result(), second.result()


async def both(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    """Both to their end; then the first failure, if any. The outcome of one is worth waiting for when the other failed."""
    for outcome in await asyncio.gather(one, other, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
