"""Who upstream takes a connection for: a fold over the sign-ins and sign-outs that pass on it, and what it says when it is asked.

What a client's own answers say is never believed, as a client chooses the ids by which they are found: they only tell that it is time
to ask. What upstream answers to a question of ours (``session.getUser``) is.
"""

from enum import Enum
from typing import Any, Final

import msgspec

from xo_warmig.api.users import User

SIGN_INS: Final = frozenset({"session.signIn", "session.signInWithPassword", "session.signInWithToken"})
SIGN_OUT: Final = "session.signOut"
WHO: Final = "session.getUser"


class Standing(Enum):
    """``NOBODY``: upstream need not be asked, and would keep a failed task in its log for it."""

    NOBODY = "nobody"
    SOMEBODY = "somebody"


def after(standing: Standing, method: str, *, succeeded: bool) -> Standing:
    """Once an answer to ``method`` has passed. One that failed changes nothing, as in XO."""
    if not succeeded:
        return standing
    if method in SIGN_INS:
        return Standing.SOMEBODY
    return Standing.NOBODY if method == SIGN_OUT else standing


def user_of(result: msgspec.Raw | None) -> User | None:
    """The user in an answer to ``WHO``; None without one. XO leaves out what is not defined."""
    if result is None:
        return None
    given: Any = msgspec.json.decode(result)
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        return None
    email, permission = given.get("email"), given.get("permission")
    return User(
        id=given["id"],
        email=email if isinstance(email, str) else given["id"],
        permission=permission if isinstance(permission, str) else "none",
    )
