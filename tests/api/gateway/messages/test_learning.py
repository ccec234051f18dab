"""Pools' passwords learnt from what administrators tell upstream, where the operator wants that, and only then."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import wait_until
from tests.api.gateway.messages.xo_server import PASSWORD

GIVEN = {"host": "xen1.example", "username": "root", "password": "secret of the pool", "label": "north"}


@pytest.fixture(scope="module")
def learns() -> bool:
    """Yes."""
    return True


def known(site: Any) -> dict[str, Any]:
    """What is stored, by host."""
    return {server.host: server for server in site.stored()}


def test_a_server_added_upstream_is_added_here(site: Any, xo: Any, client: Any) -> None:
    """With all that a connection needs."""
    assert client.call("server.add", **GIVEN, allowUnauthorized=True) == "server-0"
    server = wait_until(lambda: known(site).get("xen1.example"))
    assert (server.username, server.password, server.label) == ("root", "secret of the pool", "north")
    assert server.allow_unauthorized
    assert server.enabled


def test_a_new_password_is_learnt(site: Any, client: Any) -> None:
    """Of a server that is known here, and of one that is not yet; what is not said stays."""
    id = client.call("server.add", **GIVEN)
    wait_until(lambda: "xen1.example" in known(site))
    client.call("server.set", id=id, **{"password?": "another"})
    wait_until(lambda: known(site)["xen1.example"].password == "another")
    first = known(site)["xen1.example"]
    assert (first.username, first.label) == ("root", "north")
    site.wait_for(site.book.remove(first.id))
    client.call("server.set", id=id, password="third")
    assert wait_until(lambda: known(site).get("xen1.example")).password == "third"
    client.call("server.set", id=id, label="no password")
    client.call("server.getAll")
    assert known(site)["xen1.example"].label == "north"


def test_what_upstream_refuses_is_not_learnt(site: Any, xo: Any, client: Any, viewer: Any) -> None:
    """A caller who may not add servers; nor where the good answer of another call comes first, by the same id."""
    assert viewer.error("server.add", GIVEN)["code"] == 2
    held = xo.held["server.add"] = asyncio.Event()
    evil = GIVEN | {"host": "evil.example"}
    viewer.socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server.add", "params": evil}))
    viewer.socket.send('{"jsonrpc":"2.0","id":1,"method":"system.getServerVersion"}')
    assert viewer.take()["result"] == "5.207.2"
    del xo.held["server.add"]
    client.call("server.add", **GIVEN)
    wait_until(lambda: "xen1.example" in known(site))
    xo.call(held.set)
    assert "error" in viewer.take()
    assert list(known(site)) == ["xen1.example"]


def test_a_server_behind_a_proxy_or_without_a_password_is_not_learnt(site: Any, client: Any) -> None:
    """This server could not reach it so; the next one is learnt."""
    client.call("server.add", **(GIVEN | {"host": "far.example"}), httpProxy="http://proxy")
    client.call("server.add", host="none.example", username="root")
    client.call("server.add", **(GIVEN | {"host": "ftp://xen"}))
    client.call("server.add", **GIVEN)
    wait_until(lambda: "xen1.example" in known(site))
    assert list(known(site)) == ["xen1.example"]


def test_no_password_is_in_the_log_or_in_the_clear(
    site: Any, xo: Any, new_client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Not at the finest level of ours either, nor in any file. (The libraries' loggers are for the program to set.)"""
    caplog.set_level(logging.DEBUG)
    client = new_client(None)
    client.call("session.signIn", email="root@xo.example", password=PASSWORD)
    client.call("server.add", **GIVEN)
    wait_until(
        lambda: "the password of server xen1.example was learnt from server.add by root@xo.example" in caplog.text
    )
    told = [one.getMessage() for one in caplog.records if one.name.startswith("xo_warmig")]
    assert not any("TEXT" in text or "secret" in text for text in told)
    files = [path for path in site.state_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(b"secret of the pool" in path.read_bytes() for path in files)
