"""Limits of the configuration that fit no pool: a name that is spelt wrong holds nobody, which nothing else would tell."""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from xo_warmig.engine.pacing import Pacing
from xo_warmig.model.findings import Finding, Severity
from xo_warmig.replication.clock import Clock
from xo_warmig.replication.ports import Pools

log = logging.getLogger("xo_warmig.engine")

# Pools connect side by side, some of them later than others.
_SETTLED_SECONDS: Final = 10.0


class Unmatched(NamedTuple):
    """``name``: as the configuration has it. The pools that are connected have other names; of ``away`` it is not known."""

    name: str
    connected: Sequence[str]
    away: Sequence[str]

    def __str__(self) -> str:
        unknown = f" ({', '.join(self.away)} did not answer)" if self.away else ""
        return f'the limit [pools."{self.name}".rate] of the configuration fits no pool that is connected{unknown}: it holds no copy'

    @property
    def remedy(self) -> str:
        return f"name a pool by its uuid, its name or a host that it is reached through; connected: {', '.join(self.connected)}"

    def finding(self, vm: str) -> Finding:
        """What the plan of any VM says of it."""
        return Finding(
            code="LIMIT_WITHOUT_POOL",
            severity=Severity.WARNING,
            object=vm,
            message=str(self),
            remedy=self.remedy,
            evidence={"name": self.name, "connected": list(self.connected), "notConnected": list(self.away)},
        )


async def find_unmatched(pools: Pools, pacing: Pacing) -> list[Unmatched]:
    """All of them; none before any pool is connected."""
    if not pacing.has_pool_rates:
        return []
    connected, away = await pools.connected()
    if not connected:
        return []
    names = pacing.unmatched([*(pool.names for pool in connected), away])
    return [Unmatched(name, sorted(pool.name for pool in connected), sorted(away)) for name in names]


async def tell_unmatched(pools: Pools, pacing: Pacing, clock: Clock) -> None:
    """Log them a moment after the start, and after each connecting those that are new. Runs until it is cancelled."""
    told: set[str] = set()
    while pacing.has_pool_rates:
        news = pools.news()
        await clock.sleep(_SETTLED_SECONDS)
        found = await find_unmatched(pools, pacing)
        for each in found:
            if each.name not in told:
                log.warning("%s; %s", each, each.remedy)
        told = {each.name for each in found}
        await news.wait()
