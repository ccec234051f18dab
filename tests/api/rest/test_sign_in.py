"""Signing in with each request: slowed down and recorded as any other sign-in."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from xo_warmig.engine.store.tables import audit

Basic = Callable[[str, str], dict[str, str]]


@pytest.fixture
def new_rows(site: Any, client: Any) -> Callable[[], list[tuple[Any, ...]]]:
    """What the audit has since the test began: user, method and outcome."""

    def rows() -> list[tuple[Any, ...]]:
        site.database.submit(lambda _: None).result(10)
        columns = select(audit.c.user, audit.c.method, audit.c.outcome).order_by(audit.c.position)
        with site.database.reading() as connection:
            return [tuple(row) for row in connection.execute(columns)]

    before = len(rows())
    return lambda: rows()[before:]


def test_administrators_sign_in_by_password_too(http_client: Any, basic: Basic) -> None:
    """Others are refused."""
    assert http_client("/vms", headers=basic("admin@admin.net", "correct horse")).status == 200
    assert http_client("/vms", headers=basic("reader@example.org", "correct horse")).status == 403


def test_a_password_is_cut_at_the_first_colon(site: Any, client: Any, http_client: Any, basic: Basic) -> None:
    """As XO does."""
    client.call("user.create", email="colon@example.org", password="a:b:c", permission="admin")
    assert http_client("/ping", headers=basic("colon@example.org", "a:b:c")).status == 200
    assert http_client("/tasks", headers=basic("colon@example.org", "a:b:c")).status == 200


def test_guessing_is_slowed_down_and_recorded(
    client: Any, http_client: Any, basic: Basic, new_rows: Callable[[], list[Any]]
) -> None:
    """The right password too, for a while; the audit has each attempt, with the account that was tried if it is one."""
    client.call("user.create", email="guessed@example.org", password="right", permission="admin")
    begun = len(new_rows())
    assert http_client("/vms", headers=basic("guessed@example.org", "wrong")).status == 401
    late = http_client("/vms", headers=basic("guessed@example.org", "right"))
    assert (late.status, late.headers["retry-after"]) == (429, "2")
    assert http_client("/vms", headers=basic("a password", "typed into the wrong field")).status == 401
    assert http_client("/vms", headers={"Cookie": "token=guess"}).status == 401
    assert new_rows()[begun:] == [
        ("guessed@example.org", "session.signInWithPassword", 3),
        ("guessed@example.org", "session.signInWithPassword", -32000),
        (None, "session.signInWithPassword", 3),
        (None, "session.signInWithToken", 3),
    ]


def test_a_good_sign_in_is_recorded_once_in_a_while(
    client: Any, http_client: Any, basic: Basic, new_rows: Callable[[], list[Any]]
) -> None:
    """A script that asks every second does not fill the disk."""
    client.call("user.create", email="often@example.org", password="right", permission="admin")
    begun = len(new_rows())
    for _ in range(3):
        assert http_client("/tasks", headers=basic("often@example.org", "right")).status == 200
    assert new_rows()[begun:] == [("often@example.org", "session.signInWithPassword", 0)]


def test_who_was_demoted_is_refused(client: Any, http_client: Any, basic: Basic) -> None:
    """With the next request."""
    id = client.call("user.create", email="once@example.org", password="right", permission="admin")
    assert http_client("/tasks", headers=basic("once@example.org", "right")).status == 200
    client.call("user.set", id=id, permission="read")
    assert http_client("/tasks", headers=basic("once@example.org", "right")).status == 403


def test_a_page_of_another_origin_changes_nothing(http_client: Any) -> None:
    """Its browser may send the cookie along."""
    headers = http_client.cookie | {"Origin": "https://evil.example"}
    assert http_client("/tasks", "DELETE", headers=headers).status == 403
    same = http_client.cookie | {"Origin": f"http://{http_client.address}"}
    assert http_client("/tasks", "DELETE", headers=same).status == 204


def test_users_and_their_tokens(client: Any, http_client: Any) -> None:
    """``me`` leads to who asks; a token is made and shown."""
    me = http_client("/users/me")
    assert me.status == 307
    user = http_client(me.headers["location"].removeprefix("/rest/v0")).body
    assert (user["email"], user["permission"]) == ("admin@admin.net", "admin")
    assert me.headers["location"] in http_client("/users").body
    made = http_client("/users/me/authentication_tokens", "POST", {"description": "from rest"})
    assert (made.status, made.body["token"]["description"]) == (201, "from rest")
    cookie = {"Cookie": f"token={made.body['token']['id']}"}
    assert http_client("/tasks", headers=cookie).status == 200
    assert http_client("/users/nobody").status == 404
    assert http_client("/users/me/authentication_tokens", "POST", {"expiresIn": True}).status == 422
