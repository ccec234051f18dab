"""The real server, ``serve``, with points at which it is killed or stopped, and with times that suit a test.

``python -m tests.faults.crashing ORDERS ADDRESS PORT STATE_DIR`` runs one; ``nursery`` forks them from a process that has
imported all of this.
"""

import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from tests.faults.points import Orders, Passing, Points
from xo_warmig import cli
from xo_warmig.engine.settings import Settings
from xo_warmig.xapi import server
from xo_warmig.xapi.connection import MOST_CALLS_AT_ONCE, Connection, is_read
from xo_warmig.xapi.lending import Lending
from xo_warmig.xapi.nbd.blocks import BlocksTurn
from xo_warmig.xapi.nbd.open_blocks import OpenBlocks
from xo_warmig.xapi.transfers import Transfer, Transfers

SHORT: dict[str, Any] = {
    "retry_seconds": 0.05,
    "pool_poll_seconds": 0.1,
    "cleanup_seconds": 60.0,  # longer than a pool that was killed takes to be there again: then nothing is left behind
    "boot_poll_seconds": 0.05,
    "detach_poll_seconds": 0.02,
    "late_halt_poll_seconds": 0.2,
    "operations_poll_seconds": 0.1,
    "pool_task_linger_seconds": 0.0,
}
_RECONNECT_SECONDS = 0.1


def run(orders: Orders, address: str, port: int, state_dir: Path) -> None:
    """Serve until struck or told to end."""
    points = Points(orders)
    mark_servers(state_dir.parent.name)
    mark_calls(points)
    mark_transfers(points)
    mark_commits(points)
    shorten()
    cli.main(["serve", "--json", "--address", address, "--port", str(port), "--state-dir", str(state_dir)])


def mark_servers(name: str) -> None:
    """Each state directory is a copy of one, and so are the ids in it: here they are told apart.

    Else a server that starts clears away, as of an earlier process of itself, the tasks of another one that runs.
    """
    plain = Connection.__init__

    @functools.wraps(plain)
    def init(self: Connection, *arguments: Any, **named: Any) -> None:
        plain(self, *arguments, **named)
        self.server_id = f"{self.server_id}.{name}"
        self._lending = Lending(self.trust, origin=self.origin, most_idle=MOST_CALLS_AT_ONCE)

    Connection.__init__ = init  # type: ignore[method-assign]


def mark_calls(points: Passing) -> None:
    """Before and after every call that may change something; before, the pool has not heard of it."""
    plain = Connection.call_now

    @functools.wraps(plain)
    def call_now(self: Connection, method: str, *arguments: Any) -> Any:
        if is_read(method):
            return plain(self, method, *arguments)
        points.passing(f"before {self.pool_name} {method}")
        try:
            return plain(self, method, *arguments)
        finally:
            points.passing(f"after {self.pool_name} {method}")

    Connection.call_now = call_now  # type: ignore[method-assign]


def mark_transfers(points: Passing) -> None:
    """Before and after each opening, and each end."""
    for owner, name in (
        (Transfers, "open_export"),
        (Transfers, "open_import"),
        (Transfer, "finish"),
        (Transfer, "abort"),
        (BlocksTurn, "open"),
        (OpenBlocks, "finish"),
        (OpenBlocks, "abort"),
    ):
        setattr(owner, name, _marked(points, getattr(owner, name), name))


def _marked(points: Passing, plain: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(plain)
    async def marked(self: Any, *arguments: Any, **named: Any) -> Any:
        pool = self._connection.pool_name
        points.passing(f"before {pool} {name}")
        try:
            return await plain(self, *arguments, **named)
        finally:
            points.passing(f"after {pool} {name}")

    return marked


def mark_commits(points: Passing) -> None:
    """Before and after every commit that has something to commit, by the name of the file."""
    plain: Callable[[SQLiteDialect, Any], None] = SQLiteDialect.do_commit

    def do_commit(self: SQLiteDialect, dbapi_connection: Any) -> None:
        if not dbapi_connection.in_transaction:
            plain(self, dbapi_connection)
            return
        file = Path(dbapi_connection.execute("PRAGMA database_list").fetchone()[2]).name
        points.passing(f"before commit {file}")
        plain(self, dbapi_connection)
        points.passing(f"after commit {file}")

    setattr(SQLiteDialect, "do_commit", do_commit)  # noqa: B010


def shorten() -> None:
    """Put short waits in place of the engine's, wherever its modules got them from."""
    short = msgspec.defstruct(
        "Settings",
        [(name, float, value) for name, value in SHORT.items()],
        bases=(Settings,),
        frozen=True,
        kw_only=True,
    )
    modules = [module for name, module in sys.modules.items() if name.startswith(("xo_warmig.engine", "xo_warmig.app"))]
    replaced = [module for module in modules if getattr(module, "Settings", None) is Settings]
    assert replaced, "nobody takes the settings from where they are"
    for module in replaced:
        module.Settings = short  # type: ignore[attr-defined]
    server.FIRST_RETRY_SECONDS = server.LONGEST_RETRY_SECONDS = _RECONNECT_SECONDS


if __name__ == "__main__":
    run(msgspec.json.decode(sys.argv[1], type=Orders), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
