"""Which requests below ``/rest/v0`` are ours, ours too, or none of ours."""

import re
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from xo_warmig.api.gateway.passing import refuse_gone
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.events import PATH as EVENTS
from xo_warmig.api.gateway.rest.mounts import plain, unmounted
from xo_warmig.api.gateway.rest.visitors import Visitors
from xo_warmig.api.gateway.upstream import UpstreamGone

_ALL: Final = "/rest/v0/tasks"
_LIST: Final = re.compile(r"/rest/v0/(?:tasks|[a-z-]+/[^/]+/tasks)")
_TASK: Final = re.compile(r"/rest/v0/tasks/([^/]+)(?:/actions/[a-z_]+)?")
_ACTION: Final = re.compile(r"/rest/v0/vms/[^/]+/actions/warm_migration")


class Gate:
    """An ASGI application for HTTP below ``/rest/v0``.

    ``own`` answers all of it as a server that stands alone does, ``lists`` and ``events`` merge both, ``clearing`` has
    both forget their tasks, ``passing`` is upstream's.
    ``is_ours``: whether a task is one of our migrations.
    """

    def __init__(
        self,
        own: ASGIApp,
        lists: ASGIApp,
        events: ASGIApp,
        clearing: ASGIApp,
        passing: ASGIApp,
        callers: Callers,
        visitors: Visitors,
        is_ours: Callable[[str], bool],
    ) -> None:
        self._own = own
        self._lists = lists
        self._events = events
        self._clearing = clearing
        self._passing = passing
        self._callers = callers
        self._visitors = visitors
        self._is_ours = is_ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await self._choose(scope)
        except UpstreamGone:
            await refuse_gone(scope, receive, send)
            return
        await app(unmounted(scope) if app is self._own else scope, receive, send)

    async def _choose(self, scope: Scope) -> ASGIApp:
        if self._visitors.has_own_token(scope):
            return self._own  # our token is nobody else's to see
        path, method = plain(scope["path"]), scope["method"]
        task = _TASK.fullmatch(path)
        if task is not None and self._is_ours(task[1]):
            return self._own if await self._callers.is_admin(scope["headers"]) else self._passing
        if _ACTION.fullmatch(path):
            await self._callers.is_admin(
                scope["headers"]
            )  # known, then, or upstream is found to be gone before anything is done
            return self._own
        if method == "GET" and _LIST.fullmatch(path) and await self._callers.is_admin(scope["headers"]):
            return self._lists
        if method == "DELETE" and path == _ALL and await self._callers.is_admin(scope["headers"]):
            return self._clearing
        if EVENTS.fullmatch(path) and await self._callers.is_admin(scope["headers"]):
            return self._events
        return self._passing
