"""Tasks that show a migration to any client of the pool: made, kept current, ended and taken away.

``task.set_status`` is there since XenServer 7.2, ``task.set_progress`` since 8.2, ``task.set_error_info`` since 21.3. What is on such a
task serves nobody's safety, so a setter that a release lacks is left out; but a task that nobody can end would stay for a day.
"""

import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.model.api_versions import OF_7_2, ApiVersion
from xo_warmig.model.pool_tasks import REFUSED_FOR_GOOD, PoolTask, TaskEnd, TaskSeen
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.filters import records_with

ROLE: Final = "progress"
_ENDED_BY_CLIENTS_SINCE: Final = OF_7_2

log = logging.getLogger(__name__)


class MigrationTasks:
    """Of one pool. Tasks are named by uuid; XAPI keeps them in memory, so its restart loses them."""

    def __init__(self, calls: Calls, api_version: ApiVersion) -> None:
        self._calls = calls
        self._can_end = api_version >= _ENDED_BY_CLIENTS_SINCE
        self._useless: set[str] = set()  # setters that this pool refuses for good

    async def show(self, wanted: PoolTask, *, epoch: int) -> str | None:
        """The task, the one that was made before if it is still pending; None where it could not be ended.

        ``task.create`` takes a name and a description only, so the description finds it; the tags are put on it right after.
        """
        if not self._can_end:
            return None
        for record in (await records_with(self._calls, "task", status=tasks.PENDING)).values():
            if record["name_description"] == wanted.description:
                return str(record["uuid"])
        ref = await self._calls.call("task.create", wanted.label, wanted.description)
        uuid = str(await self._calls.call("task.get_uuid", ref))
        try:
            await self._set("task.set_other_config", ref, await self._tags(wanted, uuid, epoch))
        except WarmigError as error:  # it is there all the same
            log.info("the task %s has no tags: %s", uuid, error)
        return uuid

    async def look(self, task: str, progress: float | None) -> TaskSeen:
        """What became of it, by one call; while it is pending it is told a ``progress`` that is new, from 0 to 1.

        A cancel leaves it pending, with the asking among its operations (ocaml/xapi/xapi_task.ml).
        """
        for ref, record in (await records_with(self._calls, "task", uuid=[task])).items():
            pending = record["status"] in tasks.PENDING
            if pending and progress is not None:
                await self._set("task.set_progress", ref, progress)
            if record["status"] == "cancelled" or "cancel" in record["current_operations"].values():
                return TaskSeen.CANCEL_ASKED
            return TaskSeen.RUNNING if pending else TaskSeen.GONE
        return TaskSeen.GONE

    async def end(self, task: str, end: TaskEnd, error: Sequence[str]) -> None:
        """The status comes last: who sees it sees the rest. One that is gone is ended."""
        ref = await objects.ref_or_none(self._calls, "task", task)
        if ref is None:
            return
        with contextlib.suppress(PoolError):  # what counts is what follows
            if error:
                await self._set("task.set_error_info", ref, list(error))
            await self._set("task.set_progress", ref, 1.0)
        await self._calls.call("task.set_status", ref, str(end))

    async def drop(self, task: str) -> None:
        """Take it away, ended or not. One that is gone is success."""
        for ref, record in (await records_with(self._calls, "task", uuid=[task])).items():
            if record["status"] in tasks.PENDING:
                await tasks.drop(self._calls, ref)
            else:
                await tasks.forget(self._calls, ref)

    async def _tags(self, wanted: PoolTask, uuid: str, epoch: int) -> dict[str, str]:
        """Ours (R11), and what XO and XenCenter read: the reference of the VM that the task is about."""
        ours = objects.tags(migration=wanted.migration, role=ROLE, epoch=epoch, uuid=uuid)
        vm = await objects.ref_or_none(self._calls, "VM", wanted.vm) if wanted.vm else None
        return ours if vm is None else {**ours, "applies_to": vm}

    async def _set(self, method: str, *arguments: Any) -> None:
        """A setter that the release may lack, or our account may not use."""
        if method in self._useless:
            return
        try:
            await self._calls.call(method, *arguments)
        except PoolError as error:
            if error.code not in REFUSED_FOR_GOOD:
                raise
            self._useless.add(method)
            log.info("tasks of migrations go without: %s", error)
