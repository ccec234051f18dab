"""Who is signed in on one connection. A session lives and dies with its socket."""

from dataclasses import dataclass

from xo_warmig.api.users import User


@dataclass
class Session:
    """``expires_ms``: when the token ends that signed in, in milliseconds since the epoch; None after a password.

    ``visitor``: a user whom another server answers for, and who is not in our store.
    """

    address: str
    user_id: str | None = None
    is_admin: bool = False
    expires_ms: int | None = None
    user_is_gone: bool = False  # deleted since: told of nothing, and refused by every call
    visitor: User | None = None

    def sign_in(self, user_id: str, *, is_admin: bool, expires_ms: int | None) -> None:
        self.user_id = user_id
        self.is_admin = is_admin
        self.expires_ms = expires_ms
        self.user_is_gone = False
        self.visitor = None

    def visit(self, user: User) -> None:
        """Signed in elsewhere, for as long as that server says so."""
        self.sign_in(user.id, is_admin=user.is_admin, expires_ms=None)
        self.visitor = user

    def sign_out(self) -> None:
        self.user_id = None
        self.is_admin = False
        self.expires_ms = None
        self.visitor = None

    def has_expired(self, now_ms: int) -> bool:
        return self.expires_ms is not None and now_ms >= self.expires_ms
