"""Authentication tokens: found by a keyed hash, kept encrypted because XO's API hands them out again, and ended by their expiration."""

import logging
import secrets
from pathlib import Path
from typing import Any, Final

import msgspec

from xo_warmig.api.durations import YEAR_MS
from xo_warmig.api.state_file import StateFile
from xo_warmig.api.vault import Vault
from xo_warmig.errors import InvalidRequest, NoSuchObject

log = logging.getLogger(__name__)

DEFAULT_LIFETIME_MS: Final = 30 * 86_400_000
LEAST_LIFETIME_MS: Final = 60_000
MOST_LIFETIME_MS: Final = YEAR_MS // 2
_MOST_ADDRESSES: Final = 10
_USE_WRITTEN_EVERY_MS: Final = 60_000


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
    """All tokens, in memory by their keyed hash and in one state file. Members are named as in ``Token``; the id is sealed."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._vault = vault
        self._file = StateFile(path, dict[str, Token])
        self._tokens = self._file.read({})

    def create(
        self, user_id: str, now_ms: int, *, lifetime_ms: int | None, description: str | None, client_id: str | None
    ) -> str:
        """A new token, or the one that this client of this user has already, refreshed.

        Raises:
            InvalidRequest: code BAD_LIFETIME.
        """
        expiration = now_ms + _checked(DEFAULT_LIFETIME_MS if lifetime_ms is None else lifetime_ms)
        key = self._of_client(user_id, client_id, now_ms)
        if key is not None:
            known = self._tokens[key]
            changes: dict[str, Any] = {"expiration": expiration, "description": description or known.description}
            self._keep(key, msgspec.structs.replace(known, **changes))
            return self._open(known)
        token = secrets.token_urlsafe(32)
        key = self._vault.look_up(token)
        self._forget_expired(now_ms)
        kept = Token(
            id=self._vault.seal(token, purpose="token"),
            user_id=user_id,
            expiration=expiration,
            created_at=now_ms,
            description=description,
            client=None if client_id is None else Client(client_id),
        )
        self._keep(key, kept)
        return token

    def use(self, token: str, address: str, now_ms: int) -> Token | None:
        """The record of a token that is valid now; the use is noted, once a minute for an address."""
        key = self._vault.look_up(token)
        known = self._tokens.get(key)
        if known is None or known.expiration <= now_ms:
            return None
        last = known.last_uses.get(address)
        if last is None or now_ms - last.timestamp > _USE_WRITTEN_EVERY_MS:
            uses = {**known.last_uses, address: Use(now_ms)}
            latest = sorted(uses.items(), key=lambda item: -item[1].timestamp)[:_MOST_ADDRESSES]
            try:
                self._keep(key, msgspec.structs.replace(known, last_uses=dict(latest)))
            except OSError as error:  # a full disk keeps nobody out
                log.warning("the use of a token was not stored: %s", error)
        return known

    def of_user(self, user_id: str, now_ms: int) -> list[Token]:
        """The user's valid tokens, readable."""
        mine = (t for t in self._tokens.values() if t.user_id == user_id and t.expiration > now_ms)
        return [msgspec.structs.replace(t, id=self._open(t)) for t in mine]

    def all(self, now_ms: int) -> list[Token]:
        """Every valid token, readable."""
        return [msgspec.structs.replace(t, id=self._open(t)) for t in self._tokens.values() if t.expiration > now_ms]

    def describe(self, token: str, user_id: str, description: str | None) -> None:
        """Raises NoSuchObject, also when the token is another user's."""
        key = self._vault.look_up(token)
        known = self._tokens.get(key)
        if known is None or known.user_id != user_id:
            raise NoSuchObject("no such authentication token", evidence={"type": "authenticationToken"})
        self._keep(key, msgspec.structs.replace(known, description=description))

    def delete(self, tokens: list[str]) -> None:
        """Those that are gone already are no error."""
        gone = {self._vault.look_up(token) for token in tokens}
        self._tokens = {key: token for key, token in self._tokens.items() if key not in gone}
        self._file.write(self._tokens)

    def _of_client(self, user_id: str, client_id: str | None, now_ms: int) -> str | None:
        if client_id is None:
            return None
        wanted = (user_id, Client(client_id))
        alive = (item for item in self._tokens.items() if item[1].expiration > now_ms)
        return next((key for key, token in alive if (token.user_id, token.client) == wanted), None)

    def _keep(self, key: str, token: Token) -> None:
        self._tokens[key] = token
        self._file.write(self._tokens)

    def _forget_expired(self, now_ms: int) -> None:
        self._tokens = {key: token for key, token in self._tokens.items() if token.expiration > now_ms}

    def _open(self, token: Token) -> str:
        return self._vault.unseal(token.id, purpose="token")


def _checked(lifetime_ms: int) -> int:
    if not LEAST_LIFETIME_MS <= lifetime_ms <= MOST_LIFETIME_MS:
        raise InvalidRequest(
            "a token lives between 60 seconds and half a year",
            code="BAD_LIFETIME",
            evidence={"asked_ms": lifetime_ms, "least_ms": LEAST_LIFETIME_MS, "most_ms": MOST_LIFETIME_MS},
            remedy="Ask for another expiresIn.",
        )
    return lifetime_ms
