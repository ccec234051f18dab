"""A pool that is not there at first: it is looked for anew at each call, and until it is found no call is answered."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from xo_warmig.errors import NoSuchObject, PoolUnreachable
from xo_warmig.replication.ports import AnyPool, Pools


def absent_pool(pools: Pools, uuid: str, name: str) -> AnyPool:
    """Stands for a pool that no server is connected to now; every call raises PoolUnreachable until one is."""
    return cast(AnyPool, _Absent(pools, uuid, name))


class _Absent:
    def __init__(self, pools: Pools, uuid: str, name: str) -> None:
        self._pools = pools
        self.uuid = uuid
        self.name = name
        self.names = frozenset((uuid, name))

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def once_found(*arguments: object, **named: object) -> Any:
            try:
                pool = await self._pools.pool(self.uuid)
            except (NoSuchObject, PoolUnreachable) as away:
                raise PoolUnreachable(
                    f"the pool {self.name} is not connected",
                    evidence={"pool": self.name, "objectId": self.uuid, "call": method},
                    remedy="add its server again, or see why it does not connect",
                ) from away
            return await getattr(pool, method)(*arguments, **named)

        return once_found
