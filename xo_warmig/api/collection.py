"""Xen Orchestra's objects of all connected pools, as they are now: what ``xo.getAllObjects`` answers and ``all`` tells of."""

from collections.abc import Callable, Sequence

from xo_warmig.api.ports import Change, RecordsSource
from xo_warmig.xo.objects import CONVERTED, PoolRecords, XoObject, dependants, object_of

Place = tuple[str, str]  # class and reference
Tell = Callable[[str, XoObject | None], None]


class Collection:
    """Of one event loop. Empty, and no work for anybody, until it is woken.

    ``tell`` is called with the id of each object that changed, and the object, or None when it is gone.
    """

    def __init__(self, source: RecordsSource, tell: Tell) -> None:
        self._source = source
        self._tell = tell
        self._pools: dict[str, _OfPool] = {}
        self._owners: dict[str, str] = {}  # the pool that an object is shown of, by its id
        self._leave: Callable[[], None] | None = None

    def wake(self) -> None:
        """From now on it follows all pools."""
        if self._leave is None:
            self._leave = self._source.subscribe(self._changed)

    def close(self) -> None:
        """It follows none any more."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    async def objects(self) -> list[XoObject]:
        """All of them, once every connected pool was read. They are not to be changed."""
        self.wake()
        await self._source.records()
        return [each for pool, of in self._pools.items() for each in of.shown() if self._owners.get(each["id"]) == pool]

    def id_of(self, ref: str) -> str | None:
        """The id of the object that a pool calls so, as far as objects were asked for."""
        return next((id for of in self._pools.values() if (id := of.id_of(ref)) is not None), None)

    def _changed(self, pool: str, changes: Sequence[Change]) -> None:
        of = self._pools.setdefault(pool, _OfPool())
        for before, now in of.take(changes):
            if before is not None and (now is None or now["id"] != before["id"]):
                self._gone(pool, before["id"])
            if now is not None and self._owners.setdefault(now["id"], pool) == pool:
                self._tell(now["id"], now)

    def _gone(self, pool: str, id: str) -> None:
        """As in XO the first pool that has an object shows it; where it goes there, another one's comes to light."""
        if self._owners.get(id) != pool:
            return
        del self._owners[id]
        for other, of in self._pools.items():
            if other != pool and (still := of.with_id(id)) is not None:
                self._owners[id] = other
                self._tell(id, still)
                return
        self._tell(id, None)


class _OfPool:
    """The records of a pool, and the objects that were made of them."""

    def __init__(self) -> None:
        self._records = PoolRecords()
        self._made: dict[Place, XoObject] = {}
        self._places: dict[str, Place] = {}  # by id

    def shown(self) -> list[XoObject]:
        return list(self._made.values())

    def with_id(self, id: str) -> XoObject | None:
        place = self._places.get(id)
        return None if place is None else self._made.get(place)

    def id_of(self, ref: str) -> str | None:
        made = (self._made.get((cls, ref)) for cls in CONVERTED)
        return next((str(one["id"]) for one in made if one is not None), None)

    def take(self, changes: Sequence[Change]) -> list[tuple[XoObject | None, XoObject | None]]:
        """What becomes of the objects that the changes touch, before and after; only where that differs."""
        touched: dict[Place, None] = {}  # in order
        for cls, ref, record in changes:
            before = self._records.get(cls, ref)
            if record is None:
                self._records.remove(cls, ref)
            else:
                self._records.put(cls, ref, record)
                touched |= dict.fromkeys(dependants(cls, ref, record, self._records))
            if before is not None:
                touched |= dict.fromkeys(dependants(cls, ref, before, self._records))
            touched[cls, ref] = None
        return [pair for place in touched if (pair := self._make(place)) is not None]

    def _make(self, place: Place) -> tuple[XoObject | None, XoObject | None] | None:
        before, now = self._made.get(place), object_of(*place, self._records)
        if before == now:
            return None
        if before is not None and self._places.get(before["id"]) == place:
            del self._places[before["id"]]
        if now is None:
            del self._made[place]
        else:
            self._made[place], self._places[now["id"]] = now, place
        return before, now
