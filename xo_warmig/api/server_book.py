"""The configured pools: the stored credentials and the live connections, kept in step."""

import logging
import uuid

import msgspec

from xo_warmig.api import xo_errors
from xo_warmig.api.ports import Servers
from xo_warmig.api.server_address import GivenAddress, key_of, without_credentials
from xo_warmig.api.server_store import ServerStore
from xo_warmig.errors import WarmigError
from xo_warmig.model.servers import ServerCredentials, ServerState, ServerStatus

log = logging.getLogger(__name__)


class ServerBook:
    """What ``server.*`` works on."""

    def __init__(self, store: ServerStore, servers: Servers) -> None:
        self._store = store
        self._servers = servers
        self._unusable: dict[str, WarmigError] = {}
        self._learnt: set[str] = set()  # servers that stand with an account that is not the stored one

    async def restore(self) -> None:
        """Register every stored server, at start. One that is refused is shown with its error, and keeps no other from working."""
        for server in self._store.all():
            try:
                await self._servers.add(server)
            except WarmigError as error:
                log.error("server %s cannot be used: %s", server.id, error)
                self._unusable[server.id] = error

    def states(self) -> list[ServerState]:
        """As they are now; whether one is enabled is what was stored."""
        self.keep_pins()
        live = {state.id: state for state in self._servers.states()}
        stored = [server for server in self._store.all() if server.id in live or server.id in self._unusable]
        return [
            msgspec.structs.replace(live[server.id], enabled=server.enabled)
            if server.id in live
            else _refused(server, self._unusable[server.id])
            for server in stored
        ]

    async def add(
        self,
        *,
        host: str,
        username: str,
        password: str,
        label: str,
        allow_unauthorized: bool,
        enabled: bool,
        read_only: bool = False,
        fingerprint: str | None = None,
    ) -> str:
        """The new server's id. Credentials in ``host`` win over the others, as in XO. ``fingerprint``: to be pinned from the first.

        Raises:
            XoError: 16, the address is registered already. InvalidRequest: it is no address.
        """
        given = self._given(host)
        server = ServerCredentials(
            id=str(uuid.uuid4()),
            host=given.host,
            username=given.username or username,
            password=given.password or password,
            label=label,
            allow_unauthorized=allow_unauthorized,
            read_only=read_only,
            enabled=enabled,
            fingerprint=fingerprint,
        )
        await self._servers.add(server)  # refuses what is no address: such a server must not be stored
        try:
            self._store.put(server)
        except WarmigError:
            await self._servers.remove(server.id)
            raise
        return server.id

    async def learn(self, *, host: str, username: str, password: str, label: str, allow_unauthorized: bool) -> None:
        """What another server was told of a pool: a new one is added, a known one gets the user and the password.

        A connection that stands is not touched, and comes back with what it had, as long as its pool takes that: see ``use_learnt``.

        Raises:
            InvalidRequest: it is no address.
        """
        self.keep_pins()
        given = without_credentials(host)
        username, password = given.username or username, given.password or password
        known = next((server for server in self._store.all() if key_of(server.host) == key_of(given.host)), None)
        if known is None:
            await self.add(
                host=host,
                username=username,
                password=password,
                label=label,
                allow_unauthorized=allow_unauthorized,
                enabled=True,
            )
            return
        changed = msgspec.structs.replace(known, username=username, password=password)
        if changed == known:
            return
        self._store.put(changed)
        if known.id in self._unusable:
            return
        if self._servers.state(known.id).status is ServerStatus.DISCONNECTED:
            await self._made_anew(changed)
        else:
            self._learnt.add(known.id)

    async def use_learnt(self) -> None:
        """Connect with what was learnt since, where a pool does not take any more what its connection has."""
        for server_id in list(self._learnt):
            error = self._servers.state(server_id).error
            if error is not None and error.get("code") == "SESSION_AUTHENTICATION_FAILED":
                await self._made_anew(self._store.get(server_id))

    async def _made_anew(self, server: ServerCredentials) -> None:
        """``Servers.change`` would leave alone what gave up for the password that it had."""
        self._learnt.discard(server.id)
        await self._servers.remove(server.id)
        await self._servers.add(server)

    async def change(self, server_id: str, *, host: str | None = None, **members: object) -> None:
        """Members of ``ServerCredentials`` by name; those that are None stay. Another host forgets the pinned certificates.

        Raises:
            NoSuchObject, XoError 16: another server has the address. InvalidRequest: it is none. PoolError: SERVER_CONNECTED.
        """
        self.keep_pins()
        before = self._store.get(server_id)
        changes = {name: value for name, value in members.items() if value is not None}
        if host is not None:
            given = self._given(host, but=server_id)
            in_host = {"username": given.username, "password": given.password}
            changes |= {"host": given.host} | {name: value for name, value in in_host.items() if value}
        after = msgspec.structs.replace(before, **changes)
        if key_of(after.host) != key_of(before.host):
            after = msgspec.structs.replace(after, fingerprint=None, pins={})
        if server_id in self._unusable:
            await self._servers.add(after)
            del self._unusable[server_id]
        else:
            await self._servers.change(after)
            self._learnt.discard(server_id)
        self._store.put(after)

    async def remove(self, server_id: str) -> None:
        """Raises NoSuchObject."""
        self._store.get(server_id)
        self._learnt.discard(server_id)
        if self._unusable.pop(server_id, None) is None:
            await self._servers.remove(server_id)
        self._store.remove(server_id)

    async def enable(self, server_id: str) -> None:
        """Raises NoSuchObject, XoError 25 when it is not disconnected, PoolError when it cannot be connected, what restoring it raised."""
        server = self._store.get(server_id)
        if server_id in self._unusable:
            raise self._unusable[server_id]
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
        if server_id not in self._unusable:
            await self._servers.disconnect(server_id)

    def _given(self, host: str, *, but: str | None = None) -> GivenAddress:
        """Raises XoError 16: a server has the address already, ``but`` this one."""
        given = without_credentials(host)
        if any(key_of(server.host) == key_of(given.host) and server.id != but for server in self._store.all()):
            raise xo_errors.object_already_exists(given.host, "server")
        return given

    def master_of(self, pool: str) -> str | None:
        """The uuid of a pool's master; None while no server was connected to the pool."""
        return next((state.master for state in self._servers.states() if state.pool_id == pool), None)

    def keep_pins(self) -> None:
        """Store the certificates that connections pinned since, so that a restart does not trust anew."""
        live = {state.id: state for state in self._servers.states()}
        for server in self._store.all():
            if (state := live.get(server.id)) is not None:
                fingerprint, pins = state.fingerprint or server.fingerprint, server.pins | state.pins
                if (fingerprint, pins) != (server.fingerprint, server.pins):
                    self._store.put(msgspec.structs.replace(server, fingerprint=fingerprint, pins=pins))


def _refused(server: ServerCredentials, error: WarmigError) -> ServerState:
    """How a stored server is shown that could not be registered."""
    return ServerState(
        id=server.id,
        host=without_credentials(server.host).host,
        username=server.username,
        label=server.label,
        enabled=server.enabled,
        allow_unauthorized=server.allow_unauthorized,
        read_only=server.read_only,
        status=ServerStatus.DISCONNECTED,
        error=error.as_dict(),
    )
