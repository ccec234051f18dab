"""Authentication tokens: found by a keyed hash, kept encrypted because XO's API hands them out again, and ended by their expiration."""

import logging
import secrets
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select, update

from xo_warmig.api.durations import YEAR_MS
from xo_warmig.api.vault import Vault
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import tokens
from xo_warmig.errors import InvalidRequest, NoSuchObject, WarmigError

log = logging.getLogger(__name__)

DEFAULT_LIFETIME_MS: Final = 30 * 86_400_000
LEAST_LIFETIME_MS: Final = 60_000
MOST_LIFETIME_MS: Final = YEAR_MS // 2
_MOST_ADDRESSES: Final = 10
_USE_WRITTEN_EVERY_MS: Final = 60_000
_BY_KEY: Final = select(tokens).where(tokens.c.key == bindparam("key"))


class Use(msgspec.Struct, frozen=True):
    """When an address last signed in with a token, in milliseconds since the epoch."""

    timestamp: int


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The installation of a program that asked for a token."""

    id: str


class Token(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token as its owner sees it. Times are milliseconds since the epoch."""

    id: str
    user_id: str
    expiration: int
    created_at: int
    description: str | None = None
    client: Client | None = None
    last_uses: dict[str, Use] = {}


class TokenStore:
    """All tokens, by their keyed hash."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(
        self, user_id: str, now_ms: int, *, lifetime_ms: int | None, description: str | None, client_id: str | None
    ) -> str:
        """A new token, or the one that this client of this user has already, refreshed. Tokens that ended are forgotten.

        Raises:
            InvalidRequest: code BAD_LIFETIME.
        """
        expiration = now_ms + _checked(DEFAULT_LIFETIME_MS if lifetime_ms is None else lifetime_ms)
        token = secrets.token_urlsafe(32)
        fresh = {
            "key": self._vault.look_up(token),
            "sealed_token": self._vault.seal(token, purpose="token"),
            "user_id": user_id,
            "expiration_ms": expiration,
            "created_ms": now_ms,
            "description": description,
            "client": client_id,
            "last_uses": {},
        }

        def put(connection: Connection) -> str:
            connection.execute(delete(tokens).where(tokens.c.expiration_ms <= now_ms))
            same = (tokens.c.user_id == user_id, tokens.c.client == client_id)
            known = None if client_id is None else connection.execute(select(tokens).where(*same)).first()
            if known is None:
                connection.execute(insert(tokens).values(**fresh))
                return token
            changed = {"expiration_ms": expiration, "description": description or known.description}
            connection.execute(update(tokens).where(tokens.c.key == known.key).values(**changed))
            return self._unseal(known)

        return self._database.write(put)

    def use(self, token: str, address: str, now_ms: int) -> Token | None:
        """The record of a token that is valid now, its id still sealed; the use is noted, once a minute for an address."""
        key = self._vault.look_up(token)
        with self._database.reading() as connection:
            row = connection.execute(_BY_KEY, {"key": key}).one_or_none()
        if row is None or row.expiration_ms <= now_ms:
            return None
        last = row.last_uses.get(address)
        if last is None or now_ms - last > _USE_WRITTEN_EVERY_MS:
            try:
                self._database.write(lambda connection: _note_use(connection, key, address, now_ms))
            except WarmigError as error:  # a full disk keeps nobody out
                log.warning("the use of a token was not stored: %s", error)
        return _token(row, row.sealed_token)

    def knows(self, token: str) -> bool:
        """Whether it is one of this server's, valid or not. No use is noted."""
        with self._database.reading() as connection:
            return connection.execute(_BY_KEY, {"key": self._vault.look_up(token)}).one_or_none() is not None

    def of_user(self, user_id: str, now_ms: int) -> list[Token]:
        """The user's valid tokens, readable."""
        return self._readable(tokens.c.user_id == user_id, tokens.c.expiration_ms > now_ms)

    def all(self, now_ms: int) -> list[Token]:
        """Every valid token, readable."""
        return self._readable(tokens.c.expiration_ms > now_ms)

    def describe(self, token: str, user_id: str, description: str | None) -> None:
        """Raises NoSuchObject, also when the token is another user's."""
        own = (tokens.c.key == self._vault.look_up(token), tokens.c.user_id == user_id)
        change = update(tokens).where(*own).values(description=description)
        if self._database.write(lambda connection: connection.execute(change).rowcount) == 0:
            raise NoSuchObject("no such authentication token", evidence={"type": "authenticationToken"})

    def delete(self, given: list[str]) -> None:
        """Those that are gone already are no error."""
        keys = [self._vault.look_up(token) for token in given]

        def forget(connection: Connection) -> None:
            for key in keys:
                connection.execute(delete(tokens).where(tokens.c.key == key))

        self._database.write(forget)

    def _readable(self, *where: ColumnElement[bool]) -> list[Token]:
        with self._database.reading() as connection:
            rows = connection.execute(select(tokens).where(*where).order_by(tokens.c.position)).all()
        return [_token(row, self._unseal(row)) for row in rows]

    def _unseal(self, row: Row[Any]) -> str:
        return self._vault.unseal(row.sealed_token, purpose="token")


def _note_use(connection: Connection, key: str, address: str, now_ms: int) -> None:
    known = connection.scalar(select(tokens.c.last_uses).where(tokens.c.key == key)) or {}
    latest = sorted({**known, address: now_ms}.items(), key=lambda item: -item[1])[:_MOST_ADDRESSES]
    connection.execute(update(tokens).where(tokens.c.key == key).values(last_uses=dict(latest)))


def _token(row: Row[Any], id: str) -> Token:
    return Token(
        id=id,
        user_id=row.user_id,
        expiration=row.expiration_ms,
        created_at=row.created_ms,
        description=row.description,
        client=None if row.client is None else Client(row.client),
        last_uses={address: Use(timestamp) for address, timestamp in row.last_uses.items()},
    )


def _checked(lifetime_ms: int) -> int:
    if not LEAST_LIFETIME_MS <= lifetime_ms <= MOST_LIFETIME_MS:
        raise InvalidRequest(
            "a token lives between 60 seconds and half a year",
            code="BAD_LIFETIME",
            evidence={"asked_ms": lifetime_ms, "least_ms": LEAST_LIFETIME_MS, "most_ms": MOST_LIFETIME_MS},
            remedy="Ask for another expiresIn.",
        )
    return lifetime_ms
