"""The sessions that this server has on pools, so that the next one can end those that this one leaves behind (R16)."""

import time

from sqlalchemy import Connection, Delete, delete, insert, select

from xo_warmig.api.vault import Vault
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import pool_sessions as sessions


class PoolSessions:
    """References of sessions, sealed: whoever has one is signed in on the pool. Call from any thread."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def older(self, server_id: str) -> list[str]:
        """What earlier processes opened and did not close, the oldest first.

        Raises:
            WarmigError: code VAULT_LOCKED.
        """
        wanted = select(sessions.c.sealed_session).where(
            sessions.c.pool == server_id, sessions.c.process != self._database.process
        )
        with self._database.reading() as connection:
            sealed = connection.scalars(wanted.order_by(sessions.c.opened)).all()
        return [self._vault.unseal(each, purpose=_purpose(server_id)) for each in sealed]

    def opened(self, server_id: str, session: str) -> None:
        """Before the session is used for anything: when this raises, it must be closed again."""
        values = {
            "pool": server_id,
            "key": self._vault.look_up(session),
            "sealed_session": self._vault.seal(session, purpose=_purpose(server_id)),
            "process": self._database.process,
            "opened": time.time(),
        }

        def put(connection: Connection) -> None:
            connection.execute(_named(server_id, values["key"]))
            connection.execute(insert(sessions).values(**values))

        self._database.write(put)

    def closed(self, server_id: str, session: str) -> None:
        """It does not exist any more, or never did; whoever opened it."""
        gone = _named(server_id, self._vault.look_up(session))
        self._database.write(lambda connection: connection.execute(gone))


def _named(server_id: str, key: object) -> Delete:
    return delete(sessions).where(sessions.c.pool == server_id, sessions.c.key == key)


def _purpose(server_id: str) -> str:
    return f"session on server {server_id}"
