"""A pool that is not there: whatever is asked of it, it does not answer."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from xo_warmig.errors import PoolUnreachable
from xo_warmig.replication.ports import AnyPool


def absent_pool(uuid: str, name: str) -> AnyPool:
    """Stands for a pool that no configured server is connected to; every call raises PoolUnreachable."""
    return cast(AnyPool, _Absent(uuid, name))


class _Absent:
    def __init__(self, uuid: str, name: str) -> None:
        self.uuid = uuid
        self.name = name

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def unanswered(*_: object, **__: object) -> Any:
            raise PoolUnreachable(
                f"the pool {self.name} is not connected",
                evidence={"pool": self.name, "objectId": self.uuid, "call": method},
                remedy="add its server again, or see why it does not connect",
            )

        return unanswered
