"""The driver that survives the process: a DBOS workflow for each migration, and a child for each disk and pass but the final one.

The workflows are thin: all that is known of a migration stands in our own facts, and a step may run twice. DBOS only remembers which
turns were taken, and starts what was not over when the process ended (its traps are why it looks like this: a child of its own for
each disk, explicit ids and version, an exception never leaves a step, and its own cancel is never used).
"""

import asyncio
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from dbos import DBOS, DBOSConfig, Queue, SetWorkflowID, WorkflowStatus

from xo_warmig.engine.driver import Turns

log = logging.getLogger("xo_warmig.engine")

# Changed only when the workflows below change in a way that old histories do not fit. Then migrations under way are begun anew from
# their facts, which is always right.
APPLICATION_VERSION = "1"
APPLICATION = "xo-warmig"
EXECUTOR = "embedded"
_MIGRATE, _COPY_DISK = "migrate", "copy_disk"
_UNDER_WAY = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
MOST_RECOVERIES = 1_000_000  # a crash is counted by the migration's own epochs, and never gives it up
# What an earlier process left comes by a queue of DBOS's own, which is looked at every second and cannot be told to be quicker but by its
# private name (3.4). A VM may be down meanwhile, so it is looked at more often while a server starts. After that it stays empty.
FIRST_LOOKS_SECONDS = 0.05
LOOKS_SECONDS = 1.0
RECOVERY_SECONDS = 5.0

Result = TypeVar("Result")


class DurableDriver:
    """Drives with DBOS on a SQLite file. DBOS is one for the process, so this is too; one process for a file (the caller's lock)."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._running: set[asyncio.Task[Any]] = set()
        self._left: set[str] = set()  # workflows that an earlier process left, until they go on
        self._queue: Queue | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    async def open(self, turns: Turns) -> None:
        global _driver, _turns
        _driver, _turns = self, turns
        self._queue = DBOS(config=self._config())._registry.get_internal_queue()
        self._queue._polling_interval_sec = FIRST_LOOKS_SECONDS
        DBOS.launch()
        self._left |= {each.workflow_id for each in await self._under_way()}
        await self._forget_ended()
        if self._left:
            self._giving_up = asyncio.get_running_loop().call_later(RECOVERY_SECONDS, self._look_less_often)
        else:
            self._look_less_often()

    async def drive(self, migration: str) -> None:
        """What DBOS goes on with by itself is left to it; what it cannot go on with begins anew, which the facts make right."""
        name = workflow_id(migration)
        for known in await DBOS.list_workflows_async(workflow_ids=[name], load_input=False, load_output=False):
            if known.status in _UNDER_WAY and known.app_version == APPLICATION_VERSION:
                return
            await DBOS.delete_workflow_async(name, delete_children=True)
        with SetWorkflowID(name):
            await DBOS.start_workflow_async(migrate, migration)

    @staticmethod
    async def _forget_ended() -> None:
        """Of a migration that is at its end the turns are of no use any more."""
        ended = await DBOS.list_workflows_async(status="SUCCESS", name=_MIGRATE, load_input=False, load_output=False)
        if ended:
            await DBOS.delete_workflows_async([each.workflow_id for each in ended], delete_children=True)

    def goes_on(self, workflow: str) -> None:
        """It was taken from the queue, if it was there."""
        if self._left:
            self._left.discard(workflow)
            if not self._left:
                self._look_less_often()

    def _look_less_often(self) -> None:
        """A look costs more than a thousandth of a second."""
        if self._queue is not None:
            self._queue._polling_interval_sec = LOOKS_SECONDS

    @staticmethod
    async def _under_way() -> list[WorkflowStatus]:
        return await DBOS.list_workflows_async(status=list(_UNDER_WAY), load_input=False, load_output=False)

    async def close(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy)

    async def guarded(self, body: Coroutine[Any, Any, Result]) -> Result:
        """Run a step's body such that stopping the server leaves it as a crash would: unfinished, to be run again."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await body
        finally:
            self._running.discard(task)

    def _config(self) -> DBOSConfig:
        # SQLite's own files beside it get its mode.
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        engine = sqlalchemy.create_engine(f"sqlite:///{self._file}")
        sqlalchemy.event.listen(engine, "connect", _configure)
        return DBOSConfig(
            name=APPLICATION,
            system_database_url=f"sqlite:///{self._file}",
            system_database_engine=engine,
            application_version=APPLICATION_VERSION,
            executor_id=EXECUTOR,
            log_level="WARNING",
            notification_listener_polling_interval_sec=0.05,
        )


def workflow_id(migration: str) -> str:
    return f"migration/{migration}"


def _configure(connection: Any, _record: object) -> None:
    """WAL, so that readers and the writer do not wait for each other. A turn whose record is lost with the machine is taken again."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


# DBOS finds workflows by their names in a registry of the process, so they are functions of this module, and so is what they call.
_driver: DurableDriver | None = None
_turns: Turns | None = None


def _at_work() -> tuple[DurableDriver, Turns]:
    if _driver is None or _turns is None:
        raise RuntimeError("the driver is not open")
    return _driver, _turns


@DBOS.workflow(name=_MIGRATE, max_recovery_attempts=MOST_RECOVERIES)
async def migrate(migration: str) -> None:
    """Turn after turn to the end. The number of the turn names the children, so a replay meets the same ones."""
    _go_on()
    number = 0
    while True:
        ended, of_pass, disks = await take_turn(migration, number)
        if ended:
            return
        handles = []
        for disk in disks:
            with SetWorkflowID(f"{workflow_id(migration)}/turn-{number}/pass-{of_pass}/{disk}"):
                handles.append(await DBOS.start_workflow_async(copy_disk, migration, of_pass, disk))
        for handle in handles:
            await handle.get_result(polling_interval_sec=0.1)
        number += 1


@DBOS.workflow(name=_COPY_DISK, max_recovery_attempts=MOST_RECOVERIES)
async def copy_disk(migration: str, number: int, disk: str) -> None:
    """One disk's part of a pass."""
    _go_on()
    await copy(migration, number, disk)


def _go_on() -> None:
    driver, _ = _at_work()
    driver.goes_on(DBOS.workflow_id or "")


@DBOS.step(name="turn")
async def take_turn(migration: str, number: int) -> tuple[bool, int, list[str]]:
    driver, turns = _at_work()
    turn = await driver.guarded(turns.turn(migration))
    return turn.ended, turn.number, list(turn.disks)


@DBOS.step(name="copy")
async def copy(migration: str, number: int, disk: str) -> None:
    driver, turns = _at_work()
    await driver.guarded(turns.copy(migration, number, disk))
