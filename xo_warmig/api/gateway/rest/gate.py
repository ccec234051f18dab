"""Which requests below ``/rest/v0`` are ours, ours too, or none of ours."""

import re
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.gateway.exchange import UpstreamGone
from xo_warmig.api.gateway.passing import refuse_gone
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.gateway.rest.events import PATH as EVENTS
from xo_warmig.api.gateway.rest.mounts import plain, unmounted
from xo_warmig.api.rest.authentication import caller
from xo_warmig.api.session import Session

_LIST: Final = re.compile(r"/rest/v0/(?:tasks|[a-z-]+/[^/]+/tasks)")
_TASK: Final = re.compile(r"/rest/v0/tasks/([^/]+)(?:/actions/[a-z_]+)?")
_ACTION: Final = re.compile(r"/rest/v0/vms/[^/]+/actions/warm_migration")


class Gate:
    """An ASGI application for HTTP below ``/rest/v0``.

    ``own`` answers all of it as a server that stands alone does, ``lists`` and ``events`` merge both, ``passing`` is upstream's.
    ``is_ours``: whether a task is one of our migrations.
    """

    def __init__(
        self,
        own: ASGIApp,
        lists: ASGIApp,
        events: ASGIApp,
        passing: ASGIApp,
        callers: Callers,
        accounts: Accounts,
        is_ours: Callable[[str], bool],
    ) -> None:
        self._own = own
        self._lists = lists
        self._events = events
        self._passing = passing
        self._callers = callers
        self._accounts = accounts
        self._is_ours = is_ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = await self._choose(scope)
        except UpstreamGone:
            await refuse_gone(scope, receive, send)
            return
        await app(unmounted(scope) if app is self._own else scope, receive, send)

    async def who(self, request: Request, address: str) -> Session:
        """The administrator who asks for what is ours; their word for it is upstream's, or their token is one of ours.

        Raises XoError: 3, nobody; 2, somebody else. UpstreamGone.
        """
        session = Session(address)
        if self._has_own_token(request.scope):
            user = await caller(request, self._accounts, address)
            session.sign_in(user.id, is_admin=user.is_admin, expires_ms=None)
            return session
        visitor = await self._callers.of(request.scope["headers"])
        if visitor is None:
            raise xo_errors.invalid_credentials()
        if not visitor.is_admin:
            raise xo_errors.unauthorized("admin")
        session.visit(visitor)
        return session

    async def _choose(self, scope: Scope) -> ASGIApp:
        if self._has_own_token(scope):
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
        if EVENTS.fullmatch(path) and await self._callers.is_admin(scope["headers"]):
            return self._events
        return self._passing

    def _has_own_token(self, scope: Scope) -> bool:
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        given = (cookies.get(name) for name in ("authenticationToken", "token"))
        return any(self._accounts.tokens.knows(token) for token in given if token)
