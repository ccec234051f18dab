"""``session.*``: signing in and out on a connection."""

import msgspec

from xo_warmig.api import xo_errors
from xo_warmig.api.accounts import SignedIn
from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.api.users import User
from xo_warmig.api.xo_errors import OTHER, XoError
from xo_warmig.model.requests import NonEmpty


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """A token, or a password with either name. Unknown members are tolerated, as XO's plugins may add some."""

    token: str | None = None
    email: str | None = None
    username: str | None = None
    password: str | None = None
    otp: str | None = None  # accepted for XO's clients; this server has no second factor


class SignInWithPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``session.signInWithPassword``."""

    email: NonEmpty
    password: NonEmpty


class SignInWithToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``session.signInWithToken``."""

    token: NonEmpty


async def sign_in(call: Call, params: SignIn) -> User:
    if params.token is not None:
        return _remember(call, call.services.accounts.sign_in_with_token(params.token, call.session.address))
    name = params.email if params.email is not None else params.username
    if name is None or params.password is None:
        raise xo_errors.invalid_credentials()
    return _remember(call, await call.services.accounts.sign_in_with_password(name, params.password))


async def sign_in_with_password(call: Call, params: SignInWithPassword) -> User:
    return await sign_in(call, SignIn(email=params.email, password=params.password))


async def sign_in_with_token(call: Call, params: SignInWithToken) -> User:
    return await sign_in(call, SignIn(token=params.token))


async def get_user(call: Call, params: None) -> User:
    if call.user is None:
        raise XoError(OTHER, "not signed in")
    return call.user


async def sign_out(call: Call, params: None) -> None:
    call.session.sign_out()


def _remember(call: Call, signed_in: SignedIn) -> User:
    user = signed_in.user
    call.session.sign_in(user.id, is_admin=user.is_admin, expires_ms=signed_in.expires_ms)
    return user


METHODS = (
    Method("session.signIn", sign_in, Permission.PUBLIC, "sign in", SignIn, User),
    Method(
        "session.signInWithPassword",
        sign_in_with_password,
        Permission.PUBLIC,
        "sign in with a password (an older name of session.signIn)",
        SignInWithPassword,
        User,
    ),
    Method(
        "session.signInWithToken",
        sign_in_with_token,
        Permission.PUBLIC,
        "sign in with a token (an older name of session.signIn)",
        SignInWithToken,
        User,
    ),
    Method("session.getUser", get_user, Permission.PUBLIC, "return the user who is signed in", None, User),
    Method("session.signOut", sign_out, Permission.USER, "sign out, and keep the connection"),
)
