"""A stream of our own events that goes on beside a client's of upstream's."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.types import ASGIApp, Scope

from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.lines import batches
from xo_warmig.api.gateway.rest.own import answered
from xo_warmig.api.gateway.rest.server_sent import END, parsed
from xo_warmig.api.gateway.upstream import UpstreamGone

_PATH: Final = "/rest/v0/events"
_TOLD: Final = ("add", "update", "remove")

Tell = Callable[[bytes], Awaitable[None]]

log = logging.getLogger(__name__)


class Following:
    """At most one at a time."""

    def __init__(self, own: ASGIApp, callers: Callers) -> None:
        self._own = own
        self._callers = callers
        self._task: asyncio.Task[None] | None = None

    async def start(self, scope: Scope, subscription: bytes, tell: Tell) -> None:
        """``subscription``: the body by which the client of ``scope`` subscribed upstream. One that went on before ends."""
        await self._follow(asyncio.create_task(self._run(scope, subscription, tell)))

    async def stop(self) -> None:
        await self._follow(None)

    async def _follow(self, task: asyncio.Task[None] | None) -> None:
        """In place of what went on before; whoever comes meanwhile finds this one."""
        before, self._task = self._task, task
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)

    async def _run(self, scope: Scope, subscription: bytes, tell: Tell) -> None:
        try:
            async with contextlib.aclosing(self._events(scope, subscription)) as events:  # type: ignore[type-var]
                async for event in events:
                    await tell(event)
        except UpstreamGone as gone:
            log.info("events of ours are not told any more: %s", gone)
        except Exception:
            log.exception("events of ours are not told any more")

    async def _events(self, scope: Scope, subscription: bytes) -> AsyncIterator[bytes]:
        """Ours, for as long as the client is an administrator."""
        async with answered(self._own, _at(scope, "GET", _PATH)) as stream:
            if stream.status != 200:
                return
            subscribed = False
            pieces = self._callers.while_admin(scope["headers"], stream.body())
            async with contextlib.aclosing(batches(pieces, END)) as all_batches:  # type: ignore[type-var]
                async for event in _each(all_batches):
                    kind, data = parsed(event)
                    if kind == "init" and not subscribed:
                        subscribed = await self._subscribe(scope, f"{_PATH}/{data['id']}/subscriptions", subscription)
                    elif kind in _TOLD:
                        yield event

    async def _subscribe(self, scope: Scope, path: str, subscription: bytes) -> bool:
        async with answered(self._own, _at(scope, "POST", path), subscription) as answer:
            if answer.status != 201:
                log.info("a client follows upstream's tasks without ours: %s", answer.status)
            return answer.status == 201


async def _each(all_batches: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    async for batch in all_batches:
        for event in batch:
            yield event


def _at(scope: Scope, method: str, path: str) -> Scope:
    """A request of the same client."""
    return {**scope, "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
