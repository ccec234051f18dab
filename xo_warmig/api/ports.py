"""What the API needs from the rest of the server. The engine and the directory of pools fit these structurally; ``app`` proves it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

from msgspec import UNSET, UnsetType

from xo_warmig.model.findings import PlanReport, SweepReport
from xo_warmig.model.reports import MigrationReport
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.model.servers import ServerCredentials, ServerState
from xo_warmig.model.vm import VmChanges


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

    async def cancel(self, migration: str, *, drop: bool | None = None) -> None:
        """Returns when it is cancelled and its disks are free. ``drop`` the copy, or keep it; None: as the request said.

        Raises NoSuchObject, IncorrectState.
        """
        ...

    async def cutover(self, migration: str) -> None:
        """Cut over as soon as it pays, without waiting for a word or a time. Returns when that is recorded. Raises as ``cancel``."""
        ...

    async def pause(self, migration: str) -> None:
        """Returns when no disk is attached any more. Raises as ``cancel``."""
        ...

    async def resume(self, migration: str) -> None:
        """Go on after a pause. Returns when that is recorded. Raises as ``cancel``."""
        ...

    async def rollback(self, migration: str, *, discard_target_changes: bool) -> None:
        """Returns when the source is as it was found. Raises as ``cancel``, and IncorrectState TARGET_HAS_CHANGES."""
        ...

    async def commit(self, migration: str) -> None:
        """Returns when the source is settled and the migration done. Raises as ``cancel``."""
        ...

    async def forget_task(self, migration: str) -> None:
        """Take one that has ended off the list of tasks, for good; all else of it stays. Raises as ``cancel``."""
        ...

    async def plan(self, request: WarmMigrationRequest) -> PlanReport:
        """Look and change nothing. Raises NoSuchObject, PoolUnreachable."""
        ...

    async def sweep(self, *, remove: bool) -> SweepReport:
        """Objects of ours that no live migration and no kept copy owns, on all pools; ``remove`` them."""
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

    async def change(self, server: ServerCredentials) -> None:
        """Put these in the place of those with the same id. Raises NoSuchObject, InvalidRequest, PoolError while it is connected."""
        ...

    def states(self) -> Sequence[ServerState]: ...

    def state(self, server_id: str) -> ServerState:
        """Raises NoSuchObject."""
        ...

    async def connect(self, server_id: str) -> None:
        """Raises NoSuchObject, PoolError, PoolUnreachable."""
        ...

    async def disconnect(self, server_id: str) -> None: ...


Change: TypeAlias = tuple[str, str, dict[str, Any] | None]
"""Class and reference of a record of a pool, and what it is now; None when it is gone."""


class RecordsSource(Protocol):
    """The records of all pools, kept current once somebody asks."""

    async def records(self) -> object:
        """Returns when every connected pool was read, and all that was read was told."""
        ...

    def subscribe(self, listener: Callable[[str, Sequence[Change]], None]) -> Callable[[], None]:
        """Call ``listener`` on the event loop with the uuid of a pool and what changed there, until the returned is called."""
        ...


class VmOrders(Protocol):
    """What is done to single VMs. All raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    async def start(self, vm: str, *, host: str | None = None, force: bool = False) -> None:
        """Returns when it runs. ``force`` takes away what blocks it, unless a live migration does: ForbiddenOperation."""
        ...

    async def stop(
        self, vm: str, *, force: bool = False, force_after_seconds: float = 0.0, bypass_blocked: bool = False
    ) -> None:
        """Returns when it is halted: by asking the guest, or by cutting its power; the latter after so many seconds too, 0 for never."""
        ...

    async def restart(self, vm: str, *, force: bool = False, bypass_blocked: bool = False) -> None: ...

    async def pause(self, vm: str) -> None: ...

    async def unpause(self, vm: str) -> None: ...

    async def suspend(self, vm: str) -> None: ...

    async def resume(self, vm: str) -> None: ...

    async def snapshot(
        self, vm: str, *, name: str | None = None, description: str | None = None, memory: bool = False
    ) -> str:
        """The snapshot's uuid. Raises ForbiddenOperation: a migration has the VM."""
        ...

    async def delete(
        self, vm: str, *, disks: bool = True, bypass_blocked: bool = False, even_default_template: bool = False
    ) -> None:
        """Raises ForbiddenOperation, IncorrectState."""
        ...

    async def change(self, vm: str, changes: VmChanges) -> None:
        """Set what is given. Raises ForbiddenOperation for a start that a live migration blocks."""
        ...


class TaskOrders(Protocol):
    """What is done to tasks of pools. Both raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    async def cancel(self, task: str) -> None: ...

    async def destroy(self, task: str) -> None: ...


class SrOrders(Protocol):
    """What is done to storage repositories. Both raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    async def scan(self, sr: str) -> None:
        """Returns when its pool knows again what is on it."""
        ...

    async def rename(
        self, sr: str, *, name_label: str | UnsetType = UNSET, name_description: str | UnsetType = UNSET
    ) -> None: ...


class Orders(NamedTuple):
    """All that is done to single objects of pools."""

    vms: VmOrders
    srs: SrOrders
    tasks: TaskOrders
