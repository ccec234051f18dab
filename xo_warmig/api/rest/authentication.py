"""Who asks: by a token in a cookie, or by name and password (@xen-orchestra/rest-api, authentication.middleware).

Every request signs in, so one that succeeds is recorded in the audit once in a while; one that fails, always.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from starlette.requests import Request

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import Accounts, SignedIn
from xo_warmig.api.audit import Audit
from xo_warmig.api.rest.answers import Malformed
from xo_warmig.api.session import Session
from xo_warmig.api.xo_errors import XoError

RECORDED_AGAIN_MS: Final = 3_600_000
_BY_PASSWORD: Final = "session.signInWithPassword"
_BY_TOKEN: Final = "session.signInWithToken"


class SignsIn(Protocol):
    """Knows who asks."""

    async def session_of(self, request: Request, address: str) -> Session:
        """That of the administrator who asks from ``address``. Raises XoError: 3, nobody; 2, somebody else."""
        ...


class Callers:
    """Signs requests in."""

    def __init__(self, accounts: Accounts, audit: Audit) -> None:
        self._accounts = accounts
        self._audit = audit
        self._recorded: dict[tuple[str, str | None, str], int] = {}

    async def session_of(self, request: Request, address: str) -> Session:
        """That of the administrator who asks from ``address``.

        Raises XoError: 3, nobody; 2, somebody else; TooSoon. Malformed: both ways at once, or a header that is none.
        """
        cookies, header = request.cookies, request.headers.get("authorization")
        token = cookies.get("authenticationToken") or cookies.get("token")
        session = Session(address)
        if token and header:
            raise Malformed("a cookie and an Authorization header are too much")
        if token:
            await self._sign_in(session, _BY_TOKEN, {}, lambda: self._by_token(token, address))
        elif header:
            name, password = _basic(header)
            sign_in = self._accounts.sign_in_with_password
            await self._sign_in(session, _BY_PASSWORD, {"email": name}, lambda: sign_in(name, password))
        else:
            raise xo_errors.invalid_credentials()
        if not session.is_admin:
            raise xo_errors.unauthorized("admin")
        return session

    async def _sign_in(
        self, session: Session, method: str, given: dict[str, str], sign_in: Callable[[], Awaitable[SignedIn]]
    ) -> None:
        try:
            signed_in = await sign_in()
        except XoError as error:
            await self._audit.recorded(method, session, given, _raising(error))
            raise
        session.sign_in(signed_in.user.id, is_admin=signed_in.user.is_admin, expires_ms=signed_in.expires_ms)
        if self._is_news(method, session):
            await self._audit.recorded(method, session, given, _nothing)

    async def _by_token(self, token: str, address: str) -> SignedIn:
        return self._accounts.sign_in_with_token(token, address)

    def _is_news(self, method: str, session: Session) -> bool:
        now, who = self._accounts.now_ms(), (method, session.user_id, session.address)
        if now - self._recorded.get(who, -RECORDED_AGAIN_MS) < RECORDED_AGAIN_MS:
            return False
        self._recorded = {key: at for key, at in self._recorded.items() if now - at < RECORDED_AGAIN_MS}
        self._recorded[who] = now
        return True


def _raising(error: XoError) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


async def _nothing() -> None:
    """The sign-in was good."""


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise Malformed("only Basic authorization is known")
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Malformed("the Authorization header cannot be read") from None
    if not colon:
        raise Malformed("the Authorization header has no password")
    return name, password
