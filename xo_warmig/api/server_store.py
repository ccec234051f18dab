"""The configured pools' addresses and credentials. Passwords are sealed."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from xo_warmig.api.vault import Vault
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import pool_sessions, pools
from xo_warmig.errors import NoSuchObject
from xo_warmig.model.servers import ServerCredentials


class ServerStore:
    """What must be known to connect again after a restart.

    Raises:
        WarmigError: code VAULT_LOCKED, the stored passwords do not open with this key.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self.all()  # before any pool is asked with nonsense

    def all(self) -> list[ServerCredentials]:
        """In the order in which they were added."""
        with self._database.reading() as connection:
            return [self._opened(row) for row in connection.execute(select(pools).order_by(pools.c.position))]

    def get(self, server_id: str) -> ServerCredentials:
        """Raises NoSuchObject."""
        with self._database.reading() as connection:
            row = connection.execute(select(pools).where(pools.c.id == server_id)).one_or_none()
        if row is None:
            evidence = {"id": server_id, "type": "xenServer"}
            raise NoSuchObject(f"no such server {server_id}", evidence=evidence)
        return self._opened(row)

    def put(self, server: ServerCredentials) -> None:
        """Raises WarmigError when it cannot be stored."""
        values = msgspec.structs.asdict(server)
        values["sealed_password"] = self._vault.seal(values.pop("password"), purpose=_purpose(server.id))

        def put(connection: Connection) -> None:
            if connection.execute(update(pools).where(pools.c.id == server.id).values(**values)).rowcount == 0:
                connection.execute(insert(pools).values(**values))

        self._database.write(put)

    def remove(self, server_id: str) -> None:
        """With its sessions: nobody will be able to end those that are still open."""

        def remove(connection: Connection) -> None:
            connection.execute(delete(pools).where(pools.c.id == server_id))
            connection.execute(delete(pool_sessions).where(pool_sessions.c.pool == server_id))

        self._database.write(remove)

    def _opened(self, row: Row[Any]) -> ServerCredentials:
        return ServerCredentials(
            id=row.id,
            host=row.host,
            username=row.username,
            password=self._vault.unseal(row.sealed_password, purpose=_purpose(row.id)),
            label=row.label,
            allow_unauthorized=row.allow_unauthorized,
            read_only=row.read_only,
            enabled=row.enabled,
            fingerprint=row.fingerprint,
            pins=row.pins,
        )


def _purpose(server_id: str) -> str:
    return f"password of server {server_id}"
