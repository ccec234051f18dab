"""``user.*``: users are made, changed and deleted by administrators; everybody else has their own preferences and password."""

from collections.abc import Callable
from typing import Any

import pytest

READER = "reader@example.org"


@pytest.fixture
def reader(client: Any) -> str:
    """The id of a user without permissions."""
    return str(next(user["id"] for user in client.call("user.getAll") if user["email"] == READER))


def test_a_user_is_made_signs_in_and_goes_with_its_tokens(client: Any, new_client: Callable[..., Any]) -> None:
    """The id is answered; a socket that was signed in is refused from then on."""
    made = client.call("user.create", email="new@example.org", password="first", permission="admin")
    other = new_client(None)
    assert other.call("session.signIn", email="NEW@example.org", password="first")["id"] == made
    token = other.call("token.create")
    assert client.call("user.delete", id=made) is True
    assert other.error("server.getAll")["code"] == 1
    assert new_client(None).error("session.signIn", {"token": token})["code"] == 3
    assert client.error("user.delete", {"id": made})["code"] == 1


def test_a_name_is_taken_once(client: Any) -> None:
    """Whatever its case; also when a user is renamed."""
    refused = client.error("user.create", {"email": READER.upper(), "password": "x"})
    assert (refused["code"], refused["data"]["objectType"]) == (16, "user")
    made = client.call("user.create", email="other", password="x")
    assert client.error("user.set", {"id": made, "email": READER})["code"] == 16
    assert client.call("user.set", id=made, email="Another") is True
    assert "Another" in {user["email"] for user in client.call("user.getAll")}


def test_an_administrator_changes_passwords_and_permissions(client: Any, new_client: Callable[..., Any]) -> None:
    """What is not given stays."""
    made = client.call("user.create", email="changed", password="old")
    client.call("user.set", id=made, password="new", permission="admin")
    other = new_client(None)
    assert other.call("session.signIn", email="changed", password="new")["permission"] == "admin"
    assert other.call("server.getAll") == []


def test_preferences_are_merged(client: Any, reader: str, new_client: Callable[..., Any]) -> None:
    """Null removes one; a user may change its own, and nothing else."""
    own = new_client(READER)
    own.call("user.set", id=reader, preferences={"lang": "fr", "filters": {"a": 1}})
    own.call("user.set", id=reader, preferences={"lang": None, "theme": "dark"})
    assert own.call("session.getUser")["preferences"] == {"filters": {"a": 1}, "theme": "dark"}
    for change in ({"permission": "admin"}, {"email": "x"}, {"password": "x"}):
        assert own.error("user.set", {"id": reader, **change})["code"] == 2
    admin = client.call("session.getUser")["id"]
    assert own.error("user.set", {"id": admin, "preferences": {}})["code"] == 2


def test_nobody_locks_everybody_out(client: Any) -> None:
    """An administrator stays one, and stays."""
    own = client.call("session.getUser")["id"]
    assert client.error("user.delete", {"id": own})["code"] == 10
    assert client.error("user.set", {"id": own, "permission": "none"})["code"] == 10
    assert client.call("user.set", id=own, permission="admin") is True


def test_the_own_password_is_changed_by_who_knows_it(new_client: Callable[..., Any]) -> None:
    """A wrong one is a failed sign-in."""
    own = new_client(READER)
    assert own.error("user.changePassword", {"oldPassword": "wrong", "newPassword": "x"})["code"] == 3


def test_the_new_password_is_the_one(client: Any, new_client: Callable[..., Any]) -> None:
    """And the old one is none any more."""
    client.call("user.create", email="own", password="old")
    own = new_client(None)
    own.call("session.signIn", email="own", password="old")
    assert own.call("user.changePassword", oldPassword="old", newPassword="new") is True
    assert new_client(None).call("session.signIn", email="own", password="new")
    assert new_client(None).error("session.signIn", {"email": "own", "password": "old"})["code"] == 3
