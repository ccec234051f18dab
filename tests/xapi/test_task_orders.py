"""Orders to tasks of pools, on a simulated one."""

import pytest

from xo_warmig.errors import NoSuchObject
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.task_orders import TaskOrders


@pytest.fixture
def orders(directory: Directory) -> TaskOrders:
    return TaskOrders(directory)


async def test_a_task_is_cancelled_and_destroyed(orders: TaskOrders, source: Pool) -> None:
    """By its uuid, whichever pool has it."""
    calls = source.calls
    ref = await calls.call("task.create", "a task of ours", "")
    uuid = await calls.call("task.get_uuid", ref)
    await orders.cancel(uuid)
    assert "cancel" in (await calls.call("task.get_current_operations", ref)).values()
    await orders.destroy(uuid)
    with pytest.raises(NoSuchObject) as missing:
        await orders.cancel("no such task")
    assert missing.value.evidence["type"] == "task"
