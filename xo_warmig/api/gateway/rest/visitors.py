"""Signing in for what is ours: upstream's users, and the bearers of our own tokens."""

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.types import Scope

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.gateway.rest.callers import Callers
from xo_warmig.api.rest.authentication import SignsIn
from xo_warmig.api.session import Session


class Visitors:
    """``own`` signs in our own users."""

    def __init__(self, callers: Callers, accounts: Accounts, own: SignsIn) -> None:
        self._callers = callers
        self._accounts = accounts
        self._own = own

    def has_own_token(self, scope: Scope) -> bool:
        """Whether a request shows a token of ours, valid or not."""
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        given = (cookies.get(name) for name in ("authenticationToken", "token"))
        return any(self._accounts.tokens.knows(token) for token in given if token)

    async def session_of(self, request: Request, address: str) -> Session:
        """See ``SignsIn``. Raises UpstreamGone too."""
        if self.has_own_token(request.scope):
            return await self._own.session_of(request, address)
        visitor = await self._callers.of(request.scope["headers"])
        if visitor is None:
            raise xo_errors.invalid_credentials()
        if not visitor.is_admin:
            raise xo_errors.unauthorized("admin")
        session = Session(address)
        session.visit(visitor)
        return session
