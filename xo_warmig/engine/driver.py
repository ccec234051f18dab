"""What drives migrations from turn to turn. The durable form goes on by itself after a crash (``durable``); this one is for tests."""

import asyncio
import logging
from typing import Protocol

from xo_warmig.engine.turns import Turn
from xo_warmig.replication.tasks import together

log = logging.getLogger("xo_warmig.engine")


class Turns(Protocol):
    """What a driver calls. Both may run twice, and neither raises for what befalls a migration."""

    async def turn(self, migration: str) -> Turn: ...

    async def copy(self, migration: str, number: int, disk: str) -> None: ...


class Driver(Protocol):
    """Takes a migration from turn to turn to its end."""

    async def open(self, turns: Turns) -> None:
        """From here on it drives. What an earlier process drove goes on by itself where the driver is durable."""
        ...

    async def drive(self, migration: str) -> None:
        """Have it driven to its end, if it is not already; returns at once."""
        ...

    async def close(self) -> None:
        """Stop driving; what is not at its end goes on with the next process where the driver is durable."""
        ...


class PlainDriver:
    """Tasks of this process, forgotten with it."""

    def __init__(self) -> None:
        self._turns: Turns | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self, turns: Turns) -> None:
        self._turns = turns

    async def drive(self, migration: str) -> None:
        if self._turns is not None and migration not in self._tasks:
            task = asyncio.create_task(to_the_end(self._turns, migration), name=f"migration {migration}")
            self._tasks[migration] = task
            task.add_done_callback(lambda done: self._ended(migration, done))

    async def close(self) -> None:
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, migration: str, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(migration, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the task of migration %s failed", migration, exc_info=error)


async def to_the_end(turns: Turns, migration: str) -> None:
    """Turn after turn, the disks of each side by side."""
    while not (turn := await turns.turn(migration)).ended:
        await together(*(turns.copy(migration, turn.number, disk) for disk in turn.disks))
