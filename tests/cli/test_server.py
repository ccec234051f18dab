"""server add, list and remove."""

import json
from typing import Any

import pytest

CONNECTED = {
    "id": "s-1",
    "host": "https://pool",
    "username": "root",
    "enabled": True,
    "status": "connected",
    "poolNameLabel": "intel [bold]",
}


def test_add_takes_the_password_from_a_variable_and_waits(canned: Any, run: Any) -> None:
    """The connection is attempted in background: the command waits for it."""
    states = iter([CONNECTED | {"status": "connecting"}, CONNECTED])
    canned.answers |= {"server.add": "s-1", "server.getAll": lambda _: [next(states)]}
    result = run("server", "add", "https://pool", "root", "--label", "one", env={"XO_WARMIG_POOL_PASSWORD": "secret"})
    assert result.exit_code == 0, result.output
    assert result.stdout == "connected: intel [bold]  s-1\n"
    parameters = {"host": "https://pool", "username": "root", "password": "secret", "allowUnauthorized": False}
    assert canned.calls[0] == ("server.add", parameters | {"label": "one"})


@pytest.mark.parametrize(("arguments", "text"), [((), "typed\n"), (("--password-file", "-"), "typed\nmore\n")])
def test_add_asks_for_the_password_or_reads_it(canned: Any, run: Any, arguments: tuple[str, ...], text: str) -> None:
    """Never from the command line, which others can see."""
    canned.answers |= {"server.add": "s-1", "server.getAll": [CONNECTED]}
    result = run("server", "add", "pool", "root", *arguments, input=text)
    assert result.exit_code == 0, result.output
    assert canned.calls[0][1]["password"] == "typed"
    assert "typed" not in result.output.replace("Password: typed", "")


def test_add_tells_why_there_is_no_connection(canned: Any, run: Any) -> None:
    """The pool stays added: the error has its id, and how to be rid of it, as the same address is not added twice."""
    error = {
        "code": "SESSION_AUTHENTICATION_FAILED",
        "message": "wrong password",
        "remedy": "give the right one",
    }
    canned.answers |= {"server.add": "s-1", "server.getAll": [CONNECTED | {"status": "disconnected", "error": error}]}
    result = run("server", "add", "pool", "root", "--json", input="x\n")
    assert result.exit_code == 1
    failure = json.loads(result.stdout.splitlines()[-1])["error"]
    assert failure["code"] == "SESSION_AUTHENTICATION_FAILED"
    assert failure["evidence"]["id"] == "s-1"
    assert failure["remedy"] == "give the right one; `xo-warmig server remove s-1` comes before adding it anew"


def test_list_shows_states_and_errors(canned: Any, run: Any) -> None:
    """A pool's name is data."""
    canned.answers["server.getAll"] = [
        CONNECTED,
        CONNECTED | {"status": "connecting", "error": {"message": "no route"}},
    ]
    text = run("server", "list").stdout
    assert "intel [bold]" in text
    assert "no route" in text


def test_a_fingerprint_can_be_given(canned: Any, run: Any) -> None:
    """And is left out where it is not."""
    canned.answers |= {"server.add": "s-1", "server.getAll": [CONNECTED]}
    result = run("server", "add", "pool", "root", "--fingerprint", "AA:BB", env={"XO_WARMIG_POOL_PASSWORD": "secret"})
    assert result.exit_code == 0, result.output
    assert canned.calls[0][1]["fingerprint"] == "AA:BB"


OF_6_5 = CONNECTED | {
    "fingerprint": "AA:BB",
    "encryption": {"protocol": "TLSv1", "cipher": "AES128-SHA", "keyType": "RSA", "keyBits": 1024},
    "weaknesses": [{"code": "OLD_TLS", "message": "speaks no newer protocol than TLS 1.0", "remedy": "keep it apart"}],
}


@pytest.mark.parametrize("command", [("server", "add", "pool", "root"), ("server", "list")])
def test_what_is_weak_about_a_connection_is_told(canned: Any, run: Any, command: tuple[str, ...]) -> None:
    """Beside the certificate that was pinned, when a pool is added and in the list."""
    canned.answers |= {"server.add": "s-1", "server.getAll": [OF_6_5]}
    lines = run(*command, env={"XO_WARMIG_POOL_PASSWORD": "secret"}).stdout.splitlines()
    assert lines[-4:] == [
        "TLS 1.0 with AES128-SHA, certificate RSA 1024 bits",
        "certificate SHA-256 AA:BB",
        "! OLD_TLS: the pool speaks no newer protocol than TLS 1.0",
        "→ keep it apart",
    ]


def test_remove_names_the_server(canned: Any, run: Any) -> None:
    """By id."""
    canned.answers["server.remove"] = True
    assert run("server", "remove", "s-1").exit_code == 0
    assert canned.calls == [("server.remove", {"id": "s-1"})]
