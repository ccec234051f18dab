"""Which limits hold for a copy: its migration's own, and those that the configuration gives its two pools.

A migration's ``maxRate`` holds for what is read and for what is written, each by itself. A pool's holds for all that copies read from
it and write to it, together, whoever's they are: first each migration has the same of it, then each disk the same of its migration's.
What travels in the downtime is exempt, unless the request or the pool's table says
otherwise; it does not count for the others then, either.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from xo_warmig.disks.pace import Limit, Share, piece_bytes_of
from xo_warmig.disks.throttle import Throttle
from xo_warmig.model.findings import LimitOf, PlannedLimit
from xo_warmig.model.rates import PoolRate, RateTable
from xo_warmig.model.requests import WarmMigrationRequest
from xo_warmig.replication.line import Line
from xo_warmig.replication.ports import Pool


class Way(NamedTuple):
    """A migration, as far as limits go. Its id is empty while it is only planned."""

    migration: str
    request: WarmMigrationRequest
    source: Pool
    target: Pool


class Limits(NamedTuple):
    """All limits on a way as people see them, at a ``minute`` of the day."""

    holding: list[PlannedLimit]
    minute: int

    def line(self, *, in_downtime: bool) -> Line:
        """What a pass has to keep to."""
        return Line([each.table for each in self.holding if each.final_pass or not in_downtime], self.minute)


class _Rule(NamedTuple):
    """A limit that may hold: ``key`` says which one it is, ``in_downtime`` whether it holds then too."""

    key: tuple[str, ...]
    of: LimitOf
    name: str
    table: RateTable
    in_downtime: bool


def minute_of_the_day() -> int:
    """By this server's clock and in its time zone."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


class Pacing:
    """The limits of all copies of this server. Each is there for as long as a copy is under it."""

    def __init__(
        self, pool_rates: Mapping[str, PoolRate] | None = None, *, minute: Callable[[], int] = minute_of_the_day
    ) -> None:
        """``pool_rates``: by a uuid, name or host of the pool. ``minute``: of the day; it is asked in any thread."""
        self._pool_rates = {name.casefold(): rate for name, rate in (pool_rates or {}).items()}
        self._written = list(pool_rates or {})
        self._minute = minute
        self._limits: WeakValueDictionary[tuple[str, ...], Limit] = WeakValueDictionary()
        self._shares: WeakValueDictionary[tuple[str, ...], Share] = WeakValueDictionary()

    @property
    def has_pool_rates(self) -> bool:
        """Whether the configuration limits any pool."""
        return bool(self._pool_rates)

    def unmatched(self, pools: Iterable[Iterable[str]]) -> list[str]:
        """The names, as they were written, that none of these pools has among its own."""
        known = {name.casefold() for names in pools for name in names}
        return [name for name in self._written if name.casefold() not in known]

    def throttle(self, way: Way, *, in_downtime: bool) -> Throttle:
        """What holds back a disk's copy on this way."""
        reading = list(self._holding(way, LimitOf.SOURCE, in_downtime))
        writing = list(self._holding(way, LimitOf.TARGET, in_downtime))
        lowest = [rate for rule in (*reading, *writing) if (rate := rule.table.lowest()) is not None]
        return Throttle(
            [self._share(rule, way.migration) for rule in reading],
            [self._share(rule, way.migration) for rule in writing],
            piece_bytes=piece_bytes_of(min(lowest, default=None)),
        )

    def most(self, way: Way, *, in_downtime: bool) -> int | None:
        """Bytes per second that a pass may use at this time of day, when it is alone; None: as many as it can."""
        rates = [
            rule.table.at(self._minute())
            for side in (LimitOf.SOURCE, LimitOf.TARGET)
            for rule in self._holding(way, side, in_downtime)
        ]
        return min((rate for rate in rates if rate is not None), default=None)

    def planned(self, way: Way) -> Limits:
        """All limits on this way; a pool that is both ends has its own twice."""
        minute = self._minute()
        source, target = self._rules(way, LimitOf.SOURCE), self._rules(way, LimitOf.TARGET)
        rules = [*source, *(rule for rule in target if rule.of is LimitOf.TARGET)]
        holding = [
            PlannedLimit(
                of=rule.of,
                name=rule.name,
                bytes_per_second=rule.table.at(minute),
                table=rule.table,
                final_pass=rule.in_downtime,
            )
            for rule in rules
        ]
        return Limits(holding, minute)

    def _holding(self, way: Way, side: LimitOf, in_downtime: bool) -> Iterator[_Rule]:
        return (rule for rule in self._rules(way, side) if rule.in_downtime or not in_downtime)

    def _rules(self, way: Way, side: LimitOf) -> Iterator[_Rule]:
        """Those for one end of a copy."""
        request = way.request
        if request.max_rate is not None:
            table, key = RateTable(default=request.max_rate), ("migration", way.migration, side)
            yield _Rule(key, LimitOf.MIGRATION, "", table, request.throttle_final_pass)
        pool = way.source if side is LimitOf.SOURCE else way.target
        for name in sorted({name.casefold() for name in pool.names} & self._pool_rates.keys()):
            rate = self._pool_rates[name]
            in_downtime = rate.throttle_final_pass or request.throttle_final_pass
            yield _Rule(("pool", pool.uuid, name), side, pool.name, rate.table, in_downtime)

    def _share(self, rule: _Rule, migration: str) -> Share:
        """The migration's of that limit, for as long as a disk of its has it."""
        key = (migration, *rule.key)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share(self._limit(rule))
        return share

    def _limit(self, rule: _Rule) -> Limit:
        """The one of that key, for as long as anybody has it."""
        limit = self._limits.get(rule.key)
        if limit is None:
            limit = self._limits[rule.key] = Limit(lambda: rule.table.at(self._minute()))
        return limit
