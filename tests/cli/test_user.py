"""user and token: who may use the server, and what scripts sign in with."""

import json
from typing import Any

import pytest

USERS = [
    {"id": "u-1", "email": "admin@admin.net", "permission": "admin"},
    {"id": "u-2", "email": "Reader [x]", "permission": "none"},
]


def test_add_asks_for_the_password_twice(canned: Any, run: Any) -> None:
    """And sends it once."""
    canned.answers["user.create"] = "u-3"
    result = run("user", "add", "new", "--permission", "read", input="secret\nsecret\n")
    assert result.exit_code == 0, result.output
    assert canned.calls == [("user.create", {"email": "new", "password": "secret", "permission": "read"})]
    assert result.stdout.splitlines()[-1] == "u-3"


def test_add_reads_the_password_from_a_file(canned: Any, run: Any) -> None:
    """Its first line."""
    canned.answers["user.create"] = "u-3"
    assert run("user", "add", "new", "--password-file", "-", input="secret\nrest\n").exit_code == 0
    assert canned.calls[0][1]["password"] == "secret"


def test_list_shows_names_as_they_are(canned: Any, run: Any) -> None:
    """A name is data."""
    canned.answers["user.getAll"] = USERS
    assert "Reader [x]" in run("user", "list").stdout
    assert json.loads(run("user", "list", "--json").stdout) == USERS


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("password", "READER [X]", "--password-file", "-"), ("user.set", {"id": "u-2", "password": "new"})),
        (("permit", "u-2", "admin"), ("user.set", {"id": "u-2", "permission": "admin"})),
        (("remove", "Reader [x]"), ("user.delete", {"id": "u-2"})),
    ],
)
def test_a_user_is_named_by_name_or_id(canned: Any, run: Any, arguments: tuple[str, ...], call: Any) -> None:
    """In any case."""
    canned.answers |= {"user.getAll": USERS, "user.set": True, "user.delete": True}
    result = run("user", *arguments, input="new\n")
    assert result.exit_code == 0, result.output
    assert canned.calls[-1] == call


def test_an_unknown_user_is_told(canned: Any, run: Any) -> None:
    """Nothing is changed."""
    canned.answers["user.getAll"] = USERS
    result = run("user", "remove", "nobody", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["evidence"]["id"] == "nobody"
    assert [method for method, _ in canned.calls] == ["user.getAll"]


def test_a_token_is_printed_alone(canned: Any, run: Any) -> None:
    """For a script to take."""
    canned.answers["token.create"] = "abc"
    assert run("token", "create", "--description", "ci", "--expires-in", "1 day").stdout == "abc\n"
    assert canned.calls == [("token.create", {"description": "ci", "expiresIn": "1 day"})]


def test_tokens_are_listed_and_deleted(canned: Any, run: Any) -> None:
    """With their last use."""
    used = {"192.0.2.1": {"timestamp": 86_400_000_000}}
    token = {"id": "abc", "expiration": 10**12, "created_at": 0, "description": "ci", "last_uses": used}
    canned.answers |= {"user.getAuthenticationTokens": [token], "token.deleteOwn": True}
    text = run("token", "list").stdout
    assert "abc" in text
    assert "1972-09-2" in text
    assert run("token", "delete", "abc", "def").exit_code == 0
    assert canned.calls[-1] == ("token.deleteOwn", {"tokens": ["abc", "def"]})
