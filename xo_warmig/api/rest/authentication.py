"""Who asks: by a token in a cookie, or by name and password (@xen-orchestra/rest-api, authentication.middleware)."""

import base64
import binascii

from starlette.requests import Request

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.rest.answers import Malformed
from xo_warmig.api.users import User


async def caller(request: Request, accounts: Accounts, address: str) -> User:
    """The administrator who asks; ``address`` is noted beside the use of a token.

    Raises XoError: 3, nobody; 2, somebody else. Malformed: both ways at once, or a header that is none.
    """
    cookies, header = request.cookies, request.headers.get("authorization")
    token = cookies.get("authenticationToken") or cookies.get("token")
    if token and header:
        raise Malformed("a cookie and an Authorization header are too much")
    if token:
        user = accounts.sign_in_with_token(token, address).user
    elif header:
        name, password = _basic(header)
        user = (await accounts.sign_in_with_password(name, password)).user
    else:
        raise xo_errors.invalid_credentials()
    if not user.is_admin:
        raise xo_errors.unauthorized("admin")
    return user


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise Malformed("only Basic authorization is known")
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Malformed("the Authorization header cannot be read") from None
    if not colon:
        raise Malformed("the Authorization header has no password")
    return name, password
