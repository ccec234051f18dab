"""What the API needs from the rest of the server. The engine and the directory of pools fit these structurally; ``app`` proves it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.servers import ServerCredentials, ServerState


class Started(Protocol):
    """A migration that was started, or joined."""

    @property
    def id(self) -> str: ...


class Notice(Protocol):
    """A migration as it is now, and the durable fact that caused it (None for mere progress)."""

    @property
    def report(self) -> MigrationReport: ...

    @property
    def event(self) -> object | None: ...


class MigrationEngine(Protocol):
    """What runs migrations."""

    async def start(self, request: WarmMigrationRequest, *, user: str) -> Started:
        """Check, then run in background whatever becomes of the caller. Raises InvalidRequest with nothing touched."""
        ...

    async def outcome(self, migration: str) -> str:
        """Wait for the end; the uuid of the target. Raises the migration's own error."""
        ...

    def report(self, migration: str) -> MigrationReport:
        """Raises NoSuchObject."""
        ...

    def reports(self) -> Sequence[MigrationReport]: ...

    def events(self, migration: str) -> Sequence[object]:
        """Raises NoSuchObject."""
        ...

    async def cancel(self, migration: str) -> None:
        """Returns when it is cancelled and its disks are free. Raises NoSuchObject, IncorrectState."""
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Notice]]: ...


class Servers(Protocol):
    """The pools' connections."""

    async def add(self, server: ServerCredentials) -> None:
        """Register; when ``enabled``, a connection is attempted in background."""
        ...

    async def remove(self, server_id: str) -> None:
        """Disconnect and forget. Raises NoSuchObject."""
        ...

    def states(self) -> Sequence[ServerState]: ...

    def state(self, server_id: str) -> ServerState:
        """Raises NoSuchObject."""
        ...

    async def connect(self, server_id: str) -> None:
        """Raises NoSuchObject, PoolError, PoolUnreachable."""
        ...

    async def disconnect(self, server_id: str) -> None: ...
