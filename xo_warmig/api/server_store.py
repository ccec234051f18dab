"""The configured pools' addresses and credentials, in one state file. Passwords are sealed."""

from pathlib import Path

import msgspec

from xo_warmig.api.state_file import StateFile
from xo_warmig.api.vault import Vault
from xo_warmig.errors import NoSuchObject
from xo_warmig.model.servers import ServerCredentials


class ServerStore:
    """What must be known to connect again after a restart."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._vault = vault
        self._file = StateFile(path, list[ServerCredentials])
        self._servers = {server.id: self._opened(server) for server in self._file.read([])}

    def all(self) -> list[ServerCredentials]:
        return list(self._servers.values())

    def get(self, server_id: str) -> ServerCredentials:
        """Raises NoSuchObject."""
        try:
            return self._servers[server_id]
        except KeyError:
            evidence = {"id": server_id, "type": "xenServer"}
            raise NoSuchObject(f"no such server {server_id}", evidence=evidence) from None

    def put(self, server: ServerCredentials) -> None:
        self._write({**self._servers, server.id: server})

    def remove(self, server_id: str) -> None:
        self._write({id: server for id, server in self._servers.items() if id != server_id})

    def _write(self, servers: dict[str, ServerCredentials]) -> None:
        """What could not be written is not remembered either."""
        self._file.write([self._sealed(server) for server in servers.values()])
        self._servers = servers

    def _sealed(self, server: ServerCredentials) -> ServerCredentials:
        password = self._vault.seal(server.password, purpose=_purpose(server))
        return msgspec.structs.replace(server, password=password)

    def _opened(self, server: ServerCredentials) -> ServerCredentials:
        password = self._vault.unseal(server.password, purpose=_purpose(server))
        return msgspec.structs.replace(server, password=password)


def _purpose(server: ServerCredentials) -> str:
    return f"password of server {server.id}"
