"""Our own clients on a gateway: with a token of ours they speak to us, and upstream never sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import PASSWORD as OWN_PASSWORD

METHODS = ("session.signIn", "session.signInWithToken")


@pytest.mark.parametrize("method", METHODS)
def test_a_token_of_ours_changes_sides(site: Any, xo: Any, new_client: Callable[..., Any], method: str) -> None:
    """All of our methods are there then, and upstream's leg is closed."""
    token = site.accounts.local_token()
    client = new_client(None)
    assert client.call("system.getServerVersion") == "5.207.2"
    assert client.call(method, token=token)["email"] == "admin@admin.net"
    assert client.call("server.getAll") == []
    assert isinstance(client.call("server.add", host=f"{method}.example", username="root", password="p"), str)
    assert "warmMigration.list" in client.call("system.getMethodsInfo")
    assert client.call("system.getServerVersion") != "5.207.2"
    assert xo.peers[0].closed.wait(5)
    assert not any(token in frame for frame in xo.frames)
    for server in client.call("server.getAll"):
        client.call("server.remove", id=server["id"])


def test_a_token_of_ours_that_ended_goes_nowhere_either(site: Any, xo: Any, new_client: Callable[..., Any]) -> None:
    """It is refused here."""
    token = site.accounts.tokens.create(
        site.accounts.users.find("admin@admin.net").id, 0, lifetime_ms=60_000, description=None, client_id="old"
    )
    client = new_client(None)
    assert client.error("session.signIn", {"token": token})["code"] == 3
    assert not any(token in frame for frame in xo.frames)


def test_our_own_client_needs_no_upstream(site: Any, xo: Any, new_client: Callable[..., Any]) -> None:
    """Known by its name, with a password of ours too, while upstream is away."""
    xo.die()
    client = new_client(None, user_agent_header="xo_warmig/client")
    assert client.call("session.signIn", email="admin@admin.net", password=OWN_PASSWORD)["permission"] == "admin"
    assert client.call("server.getAll") == []
    assert xo.peers == []


def test_a_token_of_upstreams_passes(xo: Any, new_client: Callable[..., Any]) -> None:
    """As it is."""
    client = new_client(None)
    assert client.call("session.signIn", token="xo-token")["email"] == "root@xo.example"
    assert any('"xo-token"' in frame for frame in xo.frames)
