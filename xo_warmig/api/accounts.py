"""Who may use the server: signing in by password and by token, and the first administrator of an empty store."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from xo_warmig.api import xo_errors
from xo_warmig.api.throttle import Throttle
from xo_warmig.api.tokens import MOST_LIFETIME_MS, TokenStore
from xo_warmig.api.users import User, UserStore, hash_password
from xo_warmig.api.vault import Vault
from xo_warmig.engine.store.database import Database
from xo_warmig.errors import NoSuchObject

FIRST_ADMINISTRATOR: Final = "admin@admin.net"  # XO's own first account
LOCAL_CLIENT: Final = "local command line"
_VERIFICATIONS_AT_A_TIME: Final = 2


class SignedIn(NamedTuple):
    """``expires_ms``: None after a password."""

    user: User
    expires_ms: int | None


class Accounts:
    """Users and tokens of one database."""

    def __init__(self, database: Database, vault: Vault, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._throttle = Throttle(clock)
        self._verifications = asyncio.Semaphore(_VERIFICATIONS_AT_A_TIME)
        self.users = UserStore(database)
        self.tokens = TokenStore(database, vault)

    def now_ms(self) -> int:
        return round(self._clock() * 1000)

    def make_first_administrator(self, password: str | None = None) -> str | None:
        """In an empty store, make an administrator with ``password``, or with a made one that is returned to be shown once."""
        if self.users.all():
            return None
        made = None if password else secrets.token_urlsafe(15)
        self.users.add(FIRST_ADMINISTRATOR, hash_password(password or made or ""), permission="admin")
        return made

    def local_token(self) -> str:
        """An administrator's token for the command line on this machine; each call renews it for half a year."""
        user = next(user for user in self.users.all() if user.is_admin)
        return self.tokens.create(
            user.id, self.now_ms(), lifetime_ms=MOST_LIFETIME_MS, description=LOCAL_CLIENT, client_id=LOCAL_CLIENT
        )

    async def add_user(self, email: str, password: str, *, permission: str) -> User:
        """Raises InvalidRequest with code USER_EXISTS."""
        return self.users.add(email, await self._hash_of(password), permission=permission)

    async def change_user(
        self,
        user_id: str,
        *,
        email: str | None = None,
        password: str | None = None,
        permission: str | None = None,
        preferences: Mapping[str, Any] | None = None,
    ) -> None:
        """What is given, see ``UserStore.change``. Tokens stay good. Raises NoSuchObject, InvalidRequest with code USER_EXISTS."""
        password_hash = None if password is None else await self._hash_of(password)
        self.users.change(
            user_id, email=email, password_hash=password_hash, permission=permission, preferences=preferences
        )

    async def _hash_of(self, password: str) -> str:
        async with self._verifications:
            return await asyncio.to_thread(hash_password, password)

    async def sign_in_with_password(self, name: str, password: str) -> SignedIn:
        """Raises XoError: code 3, or -32000 when it comes too soon after a failure."""
        if not name or not password:
            raise xo_errors.invalid_credentials()
        async with self._throttle.attempt(name.casefold()):
            async with self._verifications:
                user = await asyncio.to_thread(self.users.verify, name, password)
            if user is None:
                self._throttle.failed(name.casefold())
                raise xo_errors.invalid_credentials()
        return SignedIn(user, None)

    def sign_in_with_token(self, token: str, address: str) -> SignedIn:
        """Raises XoError: code 3."""
        known = self.tokens.use(token, address, self.now_ms())
        if known is None:
            raise xo_errors.invalid_credentials()
        try:
            user = self.users.get(known.user_id)
        except NoSuchObject:
            raise xo_errors.invalid_credentials() from None
        return SignedIn(user, known.expiration)
