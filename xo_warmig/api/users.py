"""Users and their password hashes, in one state file."""

import secrets
import uuid
from pathlib import Path
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from xo_warmig.api.state_file import StateFile
from xo_warmig.errors import InvalidRequest, NoSuchObject

# Argon2id with OWASP's smallest memory: a sign-in costs some 20 ms and 19 MiB, and few run at a time.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


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


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    user: User
    password_hash: str


class UserStore:
    """All users. Names are compared without regard to case."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path, list[_Record])
        self._records = {record.user.id: record for record in self._file.read([])}
        # Verified in place of a user's when there is none, so that both take the same time.
        self._nobody = hash_password(secrets.token_urlsafe())

    def all(self) -> list[User]:
        return [record.user for record in self._records.values()]

    def get(self, user_id: str) -> User:
        """Raises NoSuchObject."""
        try:
            return self._records[user_id].user
        except KeyError:
            raise NoSuchObject(f"no such user {user_id}", evidence={"id": user_id, "type": "user"}) from None

    def find(self, name: str) -> User | None:
        record = self._find(name)
        return record.user if record else None

    def add(self, email: str, password_hash: str, *, permission: str) -> User:
        """Raises InvalidRequest with code USER_EXISTS."""
        if self._find(email) is not None:
            raise InvalidRequest(f"there is a user {email} already", code="USER_EXISTS", evidence={"email": email})
        user = User(id=str(uuid.uuid4()), email=email, permission=permission)
        self._records[user.id] = _Record(user=user, password_hash=password_hash)
        self._file.write(list(self._records.values()))
        return user

    def verify(self, name: str, password: str) -> User | None:
        """The user when the password is theirs. Slow on purpose: not for the event loop."""
        record = self._find(name)
        fits = _verify(record.password_hash if record else self._nobody, password)
        return record.user if record and fits else None

    def _find(self, name: str) -> _Record | None:
        wanted = name.casefold()
        return next((r for r in self._records.values() if r.user.email.casefold() == wanted), None)


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
