"""Users and their password hashes."""

import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import tokens, users
from xo_warmig.errors import InvalidRequest, NoSuchObject

# Argon2id with OWASP's smallest memory: a sign-in costs some 20 ms and 19 MiB, and few run at a time.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# Made once: every call asks for its user.
_BY_ID = select(users).where(users.c.id == bindparam("id"))
_BY_NAME = select(users).where(users.c.folded_email == bindparam("name"))


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user as clients see them, under XO's names."""

    id: str
    email: str
    groups: list[str] = []
    permission: str = "none"  # none, read, write, admin
    preferences: dict[str, Any] = {}

    @property
    def is_admin(self) -> bool:
        return self.permission == "admin"


class UserStore:
    """All users. Names are compared without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Verified in place of a user's when there is none, so that both take the same time.
        self._nobody = hash_password(secrets.token_urlsafe())
        self._known: dict[str, User] = {}
        self._known_at = -1

    def all(self) -> list[User]:
        """In the order in which they were added."""
        with self._database.reading() as connection:
            return [_user(row) for row in connection.execute(select(users).order_by(users.c.position))]

    def get(self, user_id: str) -> User:
        """As it stands now. Every call asks, so what was read is kept until something is written. Raises NoSuchObject."""
        written = self._database.written
        if written != self._known_at:
            self._known, self._known_at = {}, written
        if user_id not in self._known:
            with self._database.reading() as connection:
                row = connection.execute(_BY_ID, {"id": user_id}).one_or_none()
            if row is None:
                raise _missing(user_id)
            self._known[user_id] = _user(row)
        return self._known[user_id]

    def find(self, name: str) -> User | None:
        row = self._find(name)
        return None if row is None else _user(row)

    def add(self, email: str, password_hash: str, *, permission: str) -> User:
        """Raises InvalidRequest with code USER_EXISTS."""
        user = User(id=str(uuid.uuid4()), email=email, permission=permission)
        values = msgspec.structs.asdict(user) | {"folded_email": email.casefold(), "password_hash": password_hash}

        def put(connection: Connection) -> None:
            connection.execute(insert(users).values(**values))

        try:
            self._database.write(put)
        except IntegrityError as error:
            raise _taken(email) from error
        return user

    def change(
        self,
        user_id: str,
        *,
        email: str | None = None,
        password_hash: str | None = None,
        permission: str | None = None,
        preferences: Mapping[str, Any] | None = None,
    ) -> None:
        """What is given. Preferences are merged into those there are; null removes one.

        Raises NoSuchObject, or InvalidRequest with code USER_EXISTS.
        """
        given: dict[str, Any] = {"password_hash": password_hash, "permission": permission}
        if email is not None:
            given |= {"email": email, "folded_email": email.casefold()}
        values = {column: value for column, value in given.items() if value is not None}

        def put(connection: Connection) -> None:
            row = connection.execute(_BY_ID, {"id": user_id}).one_or_none()
            if row is None:
                raise _missing(user_id)
            merged = {
                key: value for key, value in {**row.preferences, **(preferences or {})}.items() if value is not None
            }
            connection.execute(update(users).where(users.c.id == user_id).values(**values, preferences=merged))

        try:
            self._database.write(put)
        except IntegrityError as error:
            raise _taken(email or "") from error

    def remove(self, user_id: str) -> None:
        """With all tokens. Raises NoSuchObject."""

        def forget(connection: Connection) -> None:
            if not connection.execute(delete(users).where(users.c.id == user_id)).rowcount:
                raise _missing(user_id)
            connection.execute(delete(tokens).where(tokens.c.user_id == user_id))

        self._database.write(forget)

    def verify(self, name: str, password: str) -> User | None:
        """The user when the password is theirs. Slow on purpose: not for the event loop."""
        row = self._find(name)
        fits = _verify(self._nobody if row is None else row.password_hash, password)
        return _user(row) if row is not None and fits else None

    def _find(self, name: str) -> Row[Any] | None:
        with self._database.reading() as connection:
            return connection.execute(_BY_NAME, {"name": name.casefold()}).one_or_none()


def _missing(user_id: str) -> NoSuchObject:
    return NoSuchObject(f"no such user {user_id}", evidence={"id": user_id, "type": "user"})


def _taken(email: str) -> InvalidRequest:
    return InvalidRequest(f"there is a user {email} already", code="USER_EXISTS", evidence={"email": email})


def _user(row: Row[Any]) -> User:
    return User(id=row.id, email=row.email, groups=row.groups, permission=row.permission, preferences=row.preferences)


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
