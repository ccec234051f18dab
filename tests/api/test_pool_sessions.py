"""Sessions on pools: what a process left behind is known to the next."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from xo_warmig.api.pool_sessions import PoolSessions
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.vault import Vault
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.errors import WarmigError

VAULT = Vault(b"k" * 32)


def test_what_was_not_closed_is_older_to_the_next_process(database: Database, tmp_path: Path) -> None:
    """Of that server only, the oldest first; it is nothing old to the process itself."""
    first = PoolSessions(database, VAULT)
    for server, session in (
        ("north", "OpaqueRef:1"),
        ("north", "OpaqueRef:2"),
        ("north", "OpaqueRef:3"),
        ("south", "x"),
    ):
        first.opened(server, session)
    first.closed("north", "OpaqueRef:2")
    assert first.older("north") == []
    database.close()

    later = Database(url_in(tmp_path))
    second = PoolSessions(later, VAULT)
    second.opened("north", "OpaqueRef:4")
    assert second.older("north") == ["OpaqueRef:1", "OpaqueRef:3"]
    assert second.older("south") == ["x"]
    second.closed("north", "OpaqueRef:1")
    second.closed("north", "OpaqueRef:3")
    second.closed("north", "never was one")
    assert second.older("north") == []
    later.close()


def test_a_session_is_nothing_to_read(database: Database, at_rest: Callable[[], bytes]) -> None:
    """Whoever has its reference is signed in. Another key opens none."""
    PoolSessions(database, VAULT).opened("north", "OpaqueRef:secret-reference")
    assert b"secret-reference" not in at_rest()
    database.process = "another"
    with pytest.raises(WarmigError, match="does not open"):
        PoolSessions(database, Vault(b"o" * 32)).older("north")


def test_a_reference_that_comes_again_is_the_new_process_s(database: Database) -> None:
    """As after the pool's restart."""
    sessions = PoolSessions(database, VAULT)
    sessions.opened("north", "OpaqueRef:1")
    database.process = "another"
    sessions.opened("north", "OpaqueRef:1")
    assert sessions.older("north") == []


def test_a_removed_server_has_no_sessions(database: Database) -> None:
    """They would stay for ever."""
    sessions = PoolSessions(database, VAULT)
    for server in ("north", "south"):
        sessions.opened(server, "OpaqueRef:1")
    ServerStore(database, VAULT).remove("north")
    database.process = "another"
    assert (sessions.older("north"), sessions.older("south")) == ([], ["OpaqueRef:1"])


def test_many_threads_at_once(database: Database) -> None:
    """Each opens, and closes every second."""
    sessions = PoolSessions(database, VAULT)

    def work(number: int) -> None:
        for index in range(20):
            sessions.opened("north", f"{number}-{index}")
            if index % 2:
                sessions.closed("north", f"{number}-{index}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.process = "another"
    assert sorted(sessions.older("north")) == sorted(f"{n}-{index}" for n in range(8) for index in range(0, 20, 2))
