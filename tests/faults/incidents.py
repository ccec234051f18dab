"""What happens to a pool while the server is held still at a point: its process is killed, or a transfer's connection is to be cut."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from tests.faults.looking import Watcher
from tests.pools import control

if TYPE_CHECKING:
    from tests.faults.scene import Migration

DOWN_SECONDS = 0.3
_OPENINGS = {"open_export": "export_raw_vdi", "open_import": "import_raw_vdi"}


class Incident(Protocol):
    """``happen`` is called while the server is stopped, and lets it go on."""

    async def happen(self, migration: "Migration") -> None: ...

    async def happened(self, migration: "Migration") -> bool:
        """In the end: whether it came to anything."""
        ...


class PoolKilled:
    """The process of one side's pool is killed, and started again after a while. Only for a migration that has the pools to itself."""

    def __init__(self, side: str) -> None:
        self._side = side

    async def happen(self, migration: "Migration") -> None:
        watcher: Watcher = getattr(migration.watchers, self._side)
        watcher.pool.kill()
        watcher.killed()
        migration.server.go_on()
        await asyncio.sleep(DOWN_SECONDS)
        begun = time.monotonic()
        await asyncio.to_thread(watcher.pool.restart)
        migration.seconds["pool restart"] = time.monotonic() - begun
        await migration.scene.arm(migration.variant)
        await migration.let_write()

    async def happened(self, migration: "Migration") -> bool:
        return True


class TransferCut:
    """The next transfer of its kind breaks after so many bytes of its body."""

    def __init__(self, at: int, point: str) -> None:
        """``point`` is where the transfer is about to be opened."""
        _, self._side, opening = point.rpartition(":")[0].split()
        self._order: dict[str, Any] = {"kind": "cut", "match": _OPENINGS[opening], "at": at}

    async def happen(self, migration: "Migration") -> None:
        await asyncio.to_thread(control, getattr(migration.scene, self._side), "faults", **self._order)
        migration.server.go_on()

    async def happened(self, migration: "Migration") -> bool:
        armed = await asyncio.to_thread(control, getattr(migration.scene, self._side), "faults")
        ours = [each for each in armed["faults"] if each["order"]["match"] == self._order["match"]]
        return all(each["left"] == 0 for each in ours)


def incident_of(text: str, point: str) -> Incident | None:
    """``kill-source``, ``kill-target``, ``cut@BYTE``; None for none."""
    if text.startswith("cut@"):
        return TransferCut(int(text.removeprefix("cut@")), point)
    return PoolKilled(text.removeprefix("kill-")) if text else None
