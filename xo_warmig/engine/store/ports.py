"""What a store is: where facts are kept, and what a running pass must not lose."""

from collections.abc import Sequence
from typing import Protocol

from xo_warmig.model.events import Event, RecordedEvent
from xo_warmig.model.passes import Mark


class Store(Protocol):
    """Facts: append-only, in order, by migration. Pending lists and marks: the last one by migration and source disk."""

    async def append(self, migration: str, time: float, events: Sequence[Event]) -> list[RecordedEvent]:
        """Keep facts, all or none; when this returns they are as durable as the store is.

        The first fact of a migration, ``Planned``, makes it known.
        """
        ...

    def migrations(self) -> list[str]:
        """All ids, oldest first."""
        ...

    def events(self, migration: str) -> list[RecordedEvent]:
        """All facts of a migration in order; empty for one that is not known."""
        ...

    async def put_pending(self, migration: str, disk: str, blocks: bytes | None) -> None:
        """The blocks that a pass is about to write, or None once a pass that had them is complete (R18)."""
        ...

    async def forget_pending(self, migration: str) -> None:
        """The same of all of its disks at once."""
        ...

    def pending(self, migration: str, disk: str) -> bytes | None: ...

    async def put_mark(self, migration: str, disk: str, pass_number: int, mark: Mark | None) -> None:
        """How far the disk is in that pass (R22). None forgets it."""
        ...

    def mark(self, migration: str, disk: str, pass_number: int) -> Mark | None:
        """None when there is none of this very pass."""
        ...
