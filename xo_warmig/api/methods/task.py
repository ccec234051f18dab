"""``task.*``: the tasks that notifications show, one for each migration."""

import msgspec

from xo_warmig.api.method import Call, Method, Permission
from xo_warmig.model.requests import NonEmpty


class TaskId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task by its id."""

    id: NonEmpty


async def cancel(call: Call, params: TaskId) -> None:
    await call.services.engine.cancel(params.id)


METHODS = (Method("task.cancel", cancel, Permission.ADMIN, "cancel a task: its migration stops", TaskId),)
