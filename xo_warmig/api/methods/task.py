"""``task.*``: the tasks that notifications show, those of pools and one for each migration (packages/xo-server/src/api/task.mjs)."""

import msgspec

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.errors import ForbiddenOperation, NoSuchObject
from xo_warmig.model.phases import is_end
from xo_warmig.model.requests import NonEmpty


class TaskId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task by its id."""

    id: NonEmpty


async def cancel(call: Call, params: TaskId) -> None:
    if _is_migration(call, params.id):
        await call.services.engine.cancel(params.id)
    else:
        await call.services.orders.tasks.cancel(params.id)


async def destroy(call: Call, params: TaskId) -> None:
    if not _is_migration(call, params.id):
        await call.services.orders.tasks.destroy(params.id)
        return
    if not is_end(call.services.engine.report(params.id).phase):
        raise ForbiddenOperation(
            "a migration that goes on is not forgotten",
            code="MIGRATION_TASK",
            evidence={"operation": "destroy", "reason": "the migration goes on", "objectId": params.id},
            remedy="cancel it; its task may go when it has ended",
        )
    await call.services.engine.forget_task(params.id)


def _is_migration(call: Call, id: str) -> bool:
    try:
        call.services.engine.report(id)
    except NoSuchObject:
        return False
    return True


METHODS = (
    Method(
        "task.cancel",
        cancel,
        Permission.ADMIN,
        "cancel a task: its migration stops, its pool is asked to end it",
        TaskId,
    ),
    Method(
        "task.destroy",
        destroy,
        Permission.ADMIN,
        "forget the task of a pool, whose work goes on, or of an ended migration",
        TaskId,
    ),
)
