"""What a gateway's clients see when upstream goes and comes, and what goes on without it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.conftest import wait_until
from xo_warmig.model.phases import Phase

WARM = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}


def test_without_upstream_a_connection_is_refused(site: Any, xo: Any, new_client: Callable[..., Any]) -> None:
    """As by any proxy; once it is back, all is as before."""
    xo.die()
    with pytest.raises(InvalidStatus) as refused:
        new_client()
    assert refused.value.response.status_code == 502
    assert b"does not answer" in (refused.value.response.body or b"")
    assert str(xo.port).encode() not in (refused.value.response.body or b""), "where upstream is, is nobody's business"
    xo.rise()
    assert new_client().call("system.getServerVersion") == "5.207.2"


def test_an_upstream_that_dies_cuts_its_clients_off(site: Any, xo: Any, client: Any) -> None:
    """Without a close frame, as it does itself; the migration goes on, and is there when they come back."""
    call = client.send("vm.warmMigration", WARM)
    id = site.wait_for_migration()
    xo.die()
    with pytest.raises(ConnectionClosed) as closed:
        client.wait(call)
    assert closed.value.rcvd is None
    assert site.engine.report(id).phase is Phase.COPYING
    xo.rise()
    site.do(lambda: site.engine.finish(id, "target"))
    assert site.engine.report(id).phase is Phase.DONE


def test_a_migration_outlives_the_connection_that_asked_for_it(site: Any, xo: Any, client: Any) -> None:
    """Its leg to upstream is closed."""
    client.send("vm.warmMigration", WARM)
    id = site.wait_for_migration()
    client.close()
    assert xo.peers[0].closed.wait(5)
    assert site.engine.report(id).phase is Phase.COPYING


def test_a_call_is_made_though_its_client_has_gone(site: Any, xo: Any, client: Any) -> None:
    """Sent before the end, it is asked for, as soon as upstream has said who asks."""
    held = xo.held["session.getUser"] = asyncio.Event()
    client.send("vm.warmMigration", WARM)
    wait_until(lambda: any("session.getUser" in frame for frame in xo.frames[2:]))
    client.close()
    assert site.engine.users == []
    xo.call(held.set)
    site.wait_for_migration()
    assert xo.peers[0].closed.wait(5)


def test_a_call_that_upstream_does_not_vouch_for_is_not_made(site: Any, xo: Any, client: Any) -> None:
    """It went away before it said who asks."""
    xo.held["session.getUser"] = asyncio.Event()
    client.send("vm.warmMigration", WARM)
    wait_until(lambda: any("session.getUser" in frame for frame in xo.frames[2:]))
    xo.die()
    with pytest.raises(ConnectionClosed):
        client.note(lambda _: False)  # all there is
    assert site.engine.users == []


def test_nothing_of_ours_is_left_when_connections_end(site: Any, new_client: Callable[..., Any]) -> None:
    """Nobody is told of anything any more."""
    clients = [new_client() for _ in range(3)]
    hub = site.hub
    assert len(hub._listeners) >= 3
    for client in clients:
        client.close()
    wait_until(lambda: not hub._listeners)
