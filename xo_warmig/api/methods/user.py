"""``user.*``: users and their tokens."""

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.api.tokens import Token
from xo_warmig.api.users import User


async def get_all(call: Call, params: None) -> list[User]:
    return call.services.accounts.users.all()


async def get_authentication_tokens(call: Call, params: None) -> list[Token]:
    accounts = call.services.accounts
    return accounts.tokens.of_user(call.caller.id, accounts.now_ms())


METHODS = (
    Method("user.getAll", get_all, Permission.ADMIN, "return all users", None, list[User]),
    Method(
        "user.getAuthenticationTokens",
        get_authentication_tokens,
        Permission.USER,
        "return one's own tokens",
        None,
        list[Token],
    ),
)
