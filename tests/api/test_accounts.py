"""Users, tokens and signing in, on a clock that the test moves."""

import asyncio
import json
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from xo_warmig.api.accounts import FIRST_ADMINISTRATOR, Accounts
from xo_warmig.api.tokens import DEFAULT_LIFETIME_MS, LEAST_LIFETIME_MS, MOST_LIFETIME_MS
from xo_warmig.api.vault import Vault
from xo_warmig.api.xo_errors import XoError
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import tokens
from xo_warmig.errors import InvalidRequest, NoSuchObject, WarmigError

DAY_MS = 86_400_000


class Clock:
    """Seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(database: Database, clock: Clock) -> Accounts:
    """An empty store."""
    return Accounts(database, Vault(b"k" * 32), clock=clock)


@pytest.fixture
def admin(accounts: Accounts) -> str:
    """The id of an administrator whose password is ``pw``."""
    accounts.make_first_administrator("pw")
    return accounts.users.all()[0].id


def token(accounts: Accounts, user: str, **changes: object) -> str:
    wanted: dict[str, object] = {"lifetime_ms": None, "description": None, "client_id": None} | changes
    return accounts.tokens.create(user, accounts.now_ms(), **wanted)  # type: ignore[arg-type]


async def test_the_first_administrator(accounts: Accounts) -> None:
    """An empty store makes one with a password that nobody chose, once."""
    made = accounts.make_first_administrator()
    assert made is not None
    assert len(made) >= 20
    assert accounts.make_first_administrator() is None
    user, expires = await accounts.sign_in_with_password(FIRST_ADMINISTRATOR, made)
    assert (user.is_admin, expires) == (True, None)


async def test_a_given_password_is_not_shown(accounts: Accounts, at_rest: Callable[[], bytes]) -> None:
    """Nor stored: the database holds an Argon2id hash."""
    assert accounts.make_first_administrator("given one") is None
    assert b"given one" not in at_rest()
    assert b"$argon2id$" in at_rest()
    assert await accounts.sign_in_with_password(FIRST_ADMINISTRATOR.upper(), "given one")


async def test_throttling_is_per_user(accounts: Accounts, admin: str, clock: Clock) -> None:
    """Two seconds after a failure, for that name only; unknown names are no different."""
    for name in (FIRST_ADMINISTRATOR, "nobody"):
        with pytest.raises(XoError) as refused:
            await accounts.sign_in_with_password(name, "wrong")
        assert refused.value.code == 3
        with pytest.raises(XoError) as refused:
            await accounts.sign_in_with_password(name, "pw")
        assert refused.value.code == -32000
    clock.now += 2.1
    assert (await accounts.sign_in_with_password(FIRST_ADMINISTRATOR, "pw")).user.id == admin


async def test_guesses_at_the_same_time_are_one_guess(accounts: Accounts, admin: str) -> None:
    """Many connections do not get around the wait."""
    tries = [accounts.sign_in_with_password(FIRST_ADMINISTRATOR, f"guess {i}") for i in range(10)]
    codes = [error.code for error in await asyncio.gather(*tries, return_exceptions=True) if isinstance(error, XoError)]
    assert sorted(codes) == [-32000] * 9 + [3]


def test_tokens_are_not_readable_at_rest(
    accounts: Accounts, admin: str, database: Database, at_rest: Callable[[], bytes]
) -> None:
    """Another process with the key finds them again, and hands them out."""
    made = token(accounts, admin)
    assert made.encode() not in at_rest()
    again = Accounts(database, Vault(b"k" * 32), clock=lambda: 1_000_000.0)
    assert again.sign_in_with_token(made, "192.0.2.1").user.id == admin
    (seen,) = again.tokens.of_user(admin, again.now_ms())
    assert (seen.id, seen.expiration) == (made, 1_000_000_000 + DEFAULT_LIFETIME_MS)
    assert seen.last_uses["192.0.2.1"].timestamp == 1_000_000_000


def test_a_token_ends(accounts: Accounts, admin: str, clock: Clock) -> None:
    """At its expiration, and it is then neither listed nor refreshed."""
    made = token(accounts, admin, client_id="c", lifetime_ms=DAY_MS)
    assert accounts.sign_in_with_token(made, "a").expires_ms == accounts.now_ms() + DAY_MS
    clock.now += 86_400
    with pytest.raises(XoError):
        accounts.sign_in_with_token(made, "a")
    assert accounts.tokens.of_user(admin, accounts.now_ms()) == []
    assert token(accounts, admin, client_id="c") != made


def test_the_same_client_gets_the_same_token(accounts: Accounts, admin: str, clock: Clock) -> None:
    """Refreshed; another client, or another user, gets another."""
    first = token(accounts, admin, client_id="c", lifetime_ms=DAY_MS, description="old")
    clock.now += 60
    assert token(accounts, admin, client_id="c", lifetime_ms=DAY_MS, description="new") == first
    (seen,) = accounts.tokens.of_user(admin, accounts.now_ms())
    assert (seen.expiration, seen.description) == (accounts.now_ms() + DAY_MS, "new")
    assert token(accounts, admin, client_id="d") != first
    assert token(accounts, "somebody else", client_id="c") != first


@pytest.mark.parametrize("lifetime", [LEAST_LIFETIME_MS - 1, MOST_LIFETIME_MS + 1, 0, -1])
def test_lifetimes_are_bounded(accounts: Accounts, admin: str, lifetime: int) -> None:
    """Between a minute and half a year."""
    with pytest.raises(InvalidRequest) as refused:
        token(accounts, admin, lifetime_ms=lifetime)
    assert refused.value.code == "BAD_LIFETIME"


def test_a_token_is_described_by_its_owner_only(accounts: Accounts, admin: str) -> None:
    """The error does not repeat the token."""
    made = token(accounts, admin)
    accounts.tokens.describe(made, admin, "mine")
    assert accounts.tokens.of_user(admin, accounts.now_ms())[0].description == "mine"
    with pytest.raises(NoSuchObject) as refused:
        accounts.tokens.describe(made, "somebody else", "theirs")
    assert made not in json.dumps(refused.value.as_dict())


def test_a_deleted_users_token_opens_nothing(accounts: Accounts) -> None:
    """It may outlive its user in the database."""
    made = token(accounts, "gone")
    with pytest.raises(XoError) as refused:
        accounts.sign_in_with_token(made, "a")
    assert refused.value.code == 3


def test_addresses_of_use_are_bounded(accounts: Accounts, admin: str, clock: Clock) -> None:
    """The latest ten."""
    made = token(accounts, admin)
    for number in range(15):
        clock.now += 1
        accounts.sign_in_with_token(made, f"192.0.2.{number}")
    (seen,) = accounts.tokens.of_user(admin, accounts.now_ms())
    assert sorted(seen.last_uses) == sorted(f"192.0.2.{number}" for number in range(5, 15))


def test_the_local_token_stays_the_same(accounts: Accounts, admin: str, clock: Clock) -> None:
    """Each start renews it."""
    first = accounts.local_token()
    clock.now += 86_400
    assert accounts.local_token() == first
    assert accounts.sign_in_with_token(first, "a").expires_ms == accounts.now_ms() + MOST_LIFETIME_MS


def test_a_name_is_taken_once(accounts: Accounts, admin: str) -> None:
    """Whatever its case."""
    with pytest.raises(InvalidRequest):
        accounts.users.add(FIRST_ADMINISTRATOR.upper(), "hash", permission="none")


def test_a_use_that_cannot_be_stored_keeps_nobody_out(
    accounts: Accounts, admin: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full."""
    made = token(accounts, admin)

    def full(work: object) -> None:
        raise WarmigError("no room", code="STATE_UNUSABLE")

    monkeypatch.setattr(database, "write", full)
    assert accounts.sign_in_with_token(made, "a").user.id == admin


def test_a_deleted_token_opens_nothing(accounts: Accounts, admin: str) -> None:
    """The others do; one that is gone already is no error."""
    kept, gone = token(accounts, admin), token(accounts, admin)
    accounts.tokens.delete([gone, "never was one"])
    with pytest.raises(XoError):
        accounts.sign_in_with_token(gone, "a")
    assert accounts.sign_in_with_token(kept, "a").user.id == admin
    assert [each.id for each in accounts.tokens.all(accounts.now_ms())] == [kept]


def test_tokens_that_ended_are_forgotten(accounts: Accounts, admin: str, clock: Clock, database: Database) -> None:
    """When the next one is made."""
    token(accounts, admin, lifetime_ms=DAY_MS)
    clock.now += 86_400
    token(accounts, admin)
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(tokens)) == 1
