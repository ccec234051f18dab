"""The audit: who changed what, from where, and what came of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, insert, select

from xo_warmig.api import audit as audit_module
from xo_warmig.api.accounts import FIRST_ADMINISTRATOR
from xo_warmig.api.audit import KEPT_SECONDS, Audit
from xo_warmig.api.audited import CHANGES_NOTHING, RECORDED
from xo_warmig.api.methods import METHODS
from xo_warmig.api.session import Session
from xo_warmig.api.users import UserStore
from xo_warmig.api.xo_errors import XoError, invalid_credentials
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.engine.store.tables import audit
from xo_warmig.errors import WarmigError

MIGRATION = {"vm": "vm-1", "sr": "sr-1", "startDestinationVm": True, "deleteSourceVm": False}


def rows(database: Database) -> list[Row[Any]]:
    """All of them; no call waits for its own, but this waits for all."""
    database.write(lambda _: None)
    return committed(database)


def committed(database: Database) -> list[Row[Any]]:
    with database.reading() as connection:
        return list(connection.execute(select(audit).order_by(audit.c.position)))


@pytest.fixture
def new_rows(site: Any) -> Callable[[], list[Row[Any]]]:
    """The site's rows since the test began."""
    before = len(rows(site.database))
    return lambda: rows(site.database)[before:]


@pytest.fixture
def users(database: Database) -> UserStore:
    """One administrator."""
    users = UserStore(database)
    users.add("admin", "hash", permission="admin")
    return users


@pytest.fixture
def session(users: UserStore) -> Session:
    """The administrator's."""
    return Session("192.0.2.1", user_id=users.all()[0].id, is_admin=True)


def test_every_method_is_decided() -> None:
    """A new one is recorded, or is known to change nothing."""
    assert set(METHODS) <= RECORDED.keys() | CHANGES_NOTHING
    assert not RECORDED.keys() & CHANGES_NOTHING


def test_what_changes_something_has_a_row(new_rows: Callable[[], list[Row[Any]]], client: Any) -> None:
    """With the ids of what it was about; what only looks has none."""
    added = client.call("server.add", host="audited", username="root", password="hunter2", autoConnect=False)
    client.call("server.getAll")
    client.call("server.remove", server=added)  # XO's other way to say ``id``
    token = client.call("token.create", description="private words")
    client.call("token.delete", tokens=[token])
    migration = client.call("warmMigration.start", **MIGRATION)
    client.call("warmMigration.list")
    seen = new_rows()[1:]  # after the sign-in
    assert [(row.method, row.objects, row.outcome) for row in seen] == [
        ("server.add", [added], 0),
        ("server.remove", [added], 0),
        ("token.create", [], 0),
        ("token.delete", [], 0),
        ("warmMigration.start", ["vm-1", "sr-1", migration], 0),
    ]
    assert {(row.user, row.address) for row in seen} == {(FIRST_ADMINISTRATOR, "127.0.0.1")}
    assert seen[0].time <= seen[-1].time
    for secret in ("hunter2", token, "private words"):
        assert secret not in str(seen)


def test_what_is_refused_has_a_row(new_client: Callable[..., Any], new_rows: Callable[[], list[Row[Any]]]) -> None:
    """With the error's number, and our own code where there is one."""
    reader = new_client("reader@example.org")
    reader.error("vm.warmMigration", MIGRATION)
    admin = new_client()
    admin.error("server.remove", {"id": "none"})
    admin.error("server.enable", {"id": 7})
    outcomes = {row.method: (row.user, row.objects, row.outcome, row.error) for row in new_rows()}
    assert outcomes["vm.warmMigration"] == ("reader@example.org", ["vm-1", "sr-1"], 2, None)
    assert outcomes["server.remove"] == (FIRST_ADMINISTRATOR, ["none"], 1, "NO_SUCH_OBJECT")
    assert outcomes["server.enable"] == (FIRST_ADMINISTRATOR, [], 10, None)


def test_sign_ins_have_rows(new_client: Callable[..., Any], new_rows: Callable[[], list[Row[Any]]]) -> None:
    """Good ones with the user, bad ones with the account that was tried, if it is one: passwords land in the wrong field."""
    new_client()
    stranger = new_client(None)
    stranger.error("session.signIn", {"email": "reader@example.org", "password": "a wrong one"})
    stranger.error("session.signIn", {"email": "my password", "password": "x"})
    stranger.error("session.signInWithToken", {"token": "a guessed token"})
    stranger.error("vm.warmMigration", MIGRATION)
    assert [(row.method, row.user, row.outcome) for row in new_rows()] == [
        ("session.signIn", FIRST_ADMINISTRATOR, 0),
        ("session.signIn", "reader@example.org", 3),
        ("session.signIn", None, 3),
        ("session.signInWithToken", None, 3),
        ("vm.warmMigration", None, 2),
    ]
    for secret in ("wrong", "my password", "guessed"):
        assert secret not in str(new_rows())


async def test_a_call_has_its_row_before_it_ends(database: Database, users: UserStore, session: Session) -> None:
    """Before anything is stored that it causes; without an outcome when the server ends before it."""
    recorder = Audit(database, users)
    seen: list[Row[Any]] = []

    async def call() -> str:
        await database.write_soon(lambda _: seen.extend(committed(database)))
        await asyncio.Event().wait()
        return "never"

    task = asyncio.create_task(recorder.recorded("vm.warmMigration", session, MIGRATION, call))
    while not seen:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(row.user, row.objects, row.outcome) for row in seen] == [("admin", ["vm-1", "sr-1"], None)]
    assert rows(database) == seen


async def test_strangers_cannot_fill_the_disk(
    database: Database, users: UserStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """So many refusals in a minute are recorded, the log says that there were more, and good sign-ins always are."""
    monkeypatch.setattr(audit_module, "MOST_STRANGERS", 5)
    now = 600.0
    recorder = Audit(database, users, clock=lambda: now)
    stranger = Session("192.0.2.9")

    async def refused() -> None:
        raise invalid_credentials()

    async def good() -> None:
        stranger.sign_in(users.all()[0].id, is_admin=True, expires_ms=None)

    async def guess(times: int) -> None:
        for _ in range(times):
            with pytest.raises(XoError):
                await recorder.recorded("session.signIn", stranger, {}, refused)

    await guess(20)
    assert len(rows(database)) == 5
    assert caplog.text.count("not recorded") == 1
    now += 60
    await guess(2)
    assert len(rows(database)) == 7
    await guess(20)
    await recorder.recorded("session.signIn", stranger, {}, good)
    assert [row.outcome for row in rows(database)] == [3] * 10 + [0]


async def test_a_full_disk_stops_no_call(
    database: Database,
    users: UserStore,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says what was not recorded."""
    recorder = Audit(database, users)

    def full(connection: object, entry: object) -> int:
        raise WarmigError("no room", code="STATE_UNUSABLE")

    monkeypatch.setattr(audit_module, "_insert", full)

    async def call() -> str:
        return "done"

    for method in ("session.signIn", "token.create"):
        assert await recorder.recorded(method, session, {}, call) == "done"
        assert rows(database) == []
        assert f"{method} by admin was not recorded: no room" in caplog.text


def test_rows_are_kept_for_a_year(database: Database, users: UserStore) -> None:
    """Older ones go at a start."""
    now = 2_000_000_000.0
    for age in (KEPT_SECONDS + 1, KEPT_SECONDS - 1):
        row = {"time": now - age, "address": "a", "method": "m", "objects": [str(age)]}
        database.write(lambda connection, row=row: connection.execute(insert(audit).values(**row)))  # type: ignore[misc]
    Audit(database, users, clock=lambda: now)
    assert [row.objects for row in rows(database)] == [[str(KEPT_SECONDS - 1)]]


def test_what_a_caller_calls_an_id_is_cut(tmp_path: Path) -> None:
    """It may be as long as a frame."""
    database = Database(url_in(tmp_path))
    users = UserStore(database)
    users.add("admin", "hash", permission="admin")
    session = Session("192.0.2.1", user_id=users.all()[0].id)

    async def call() -> None:
        raise XoError(1, "no such object")

    with pytest.raises(XoError):
        asyncio.run(Audit(database, users).recorded("server.remove", session, {"id": "x" * 1_000_000}, call))
    (row,) = rows(database)
    assert row.objects == ["x" * 100]
    database.close()
