"""What people do to tasks of pools through XO's API: cancel and destroy."""

from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.directory import Directory


class TaskOrders:
    """The tasks of all connected pools, by uuid. All raise NoSuchObject, PoolUnreachable, and PoolError as the pool does."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def cancel(self, task: str) -> None:
        """Ask for it: OPERATION_NOT_ALLOWED where it cannot be; many operations do not listen."""
        calls, ref = await self._found(task)
        await calls.call("task.cancel", ref)

    async def destroy(self, task: str) -> None:
        """The record goes, the work does not end."""
        calls, ref = await self._found(task)
        await calls.call("task.destroy", ref)

    async def _found(self, task: str) -> tuple[Calls, str]:
        calls = (await self._directory.pool_of_task(task)).calls
        return calls, await objects.ref_of(calls, "task", task)
