"""The configured pools: the stored credentials and the live connections, kept in step."""

import uuid

import msgspec

from xo_warmig.api import xo_errors
from xo_warmig.api.ports import Servers
from xo_warmig.api.server_store import ServerStore
from xo_warmig.model.servers import ServerCredentials, ServerState, ServerStatus


class ServerBook:
    """What ``server.*`` works on."""

    def __init__(self, store: ServerStore, servers: Servers) -> None:
        self._store = store
        self._servers = servers

    async def restore(self) -> None:
        """Register every stored server, at start."""
        for server in self._store.all():
            await self._servers.add(server)

    def states(self) -> list[ServerState]:
        """As they are now; whether one is enabled is what was stored."""
        self.keep_pins()
        enabled = {server.id: server.enabled for server in self._store.all()}
        states = [state for state in self._servers.states() if state.id in enabled]
        return [msgspec.structs.replace(state, enabled=enabled[state.id]) for state in states]

    async def add(
        self, *, host: str, username: str, password: str, label: str, allow_unauthorized: bool, enabled: bool
    ) -> str:
        """The new server's id. Raises XoError 16 when the address is registered already."""
        if any(_address(server.host) == _address(host) for server in self._store.all()):
            raise xo_errors.object_already_exists(host, "server")
        server = ServerCredentials(
            id=str(uuid.uuid4()),
            host=host,
            username=username,
            password=password,
            label=label,
            allow_unauthorized=allow_unauthorized,
            enabled=enabled,
        )
        self._store.put(server)
        await self._servers.add(server)
        return server.id

    async def remove(self, server_id: str) -> None:
        """Raises NoSuchObject."""
        self._store.get(server_id)
        await self._servers.remove(server_id)
        self._store.remove(server_id)

    async def enable(self, server_id: str) -> None:
        """Raises NoSuchObject, XoError 25 when it is not disconnected, PoolError when it cannot be connected."""
        server = self._store.get(server_id)
        status = self._servers.state(server_id).status
        if status is not ServerStatus.DISCONNECTED:
            raise xo_errors.incorrect_state(
                actual=status, expected=ServerStatus.DISCONNECTED, object=server_id, property="status"
            )
        self._store.put(msgspec.structs.replace(server, enabled=True))
        await self._servers.connect(server_id)

    async def disable(self, server_id: str) -> None:
        """Raises NoSuchObject."""
        server = self._store.get(server_id)
        self._store.put(msgspec.structs.replace(server, enabled=False))
        await self._servers.disconnect(server_id)

    def keep_pins(self) -> None:
        """Store the certificates that connections pinned since, so that a restart does not trust anew."""
        pins = {state.id: state.fingerprint for state in self._servers.states()}
        for server in self._store.all():
            pin = pins.get(server.id)
            if pin is not None and pin != server.fingerprint:
                self._store.put(msgspec.structs.replace(server, fingerprint=pin))


def _address(host: str) -> str:
    return host.casefold().removeprefix("https://").rstrip("/")
