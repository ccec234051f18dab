"""A record that is made into an object, and what the makers of all types ask of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.records import PoolRecords, Record

XoObject = dict[str, Any]  # JSON values


class Subject(NamedTuple):
    """A record among those of its pool. What its fields do not say is UNSET, which is left out of objects."""

    cls: str
    ref: str
    record: Record
    pool: PoolRecords

    @property
    def id(self) -> str:
        """The id by which others link to it."""
        return id_of(self.ref, self.record)

    def field(self, name: str) -> Any:
        """As it is; UNSET on releases that do not have it."""
        return self.record.get(name, UNSET)

    def map(self, name: str) -> Mapping[str, Any]:
        """A map, empty on releases that do not have it."""
        found: Mapping[str, Any] = self.record.get(name) or {}
        return found

    def items(self, name: str) -> list[Any]:
        """A list, empty on releases that do not have it."""
        return self.record.get(name) or []

    def flag(self, name: str) -> bool:
        """False on releases that do not have it."""
        return bool(self.record.get(name))

    def number(self, name: str) -> int | float | None:
        """None when it is missing, as XO sends its NaN."""
        return number(self.field(name))

    def of(self, name: str, cls: str) -> Record | None:
        """The record that a field refers to."""
        return self.pool.get(cls, self.record.get(name))

    def every(self, name: str, cls: str) -> list[Record]:
        """The records that a field refers to; those that are not known are left out."""
        return [found for ref in self.items(name) if (found := self.pool.get(cls, ref)) is not None]

    def link(self, name: str, cls: str) -> str | UnsetType:
        """The id of what a field refers to."""
        return link(self.pool, cls, self.record.get(name))

    def links(self, name: str, cls: str) -> list[str | None]:
        """The ids of what a field refers to; None for those that are not known, as XO sends them."""
        return links(self.pool, cls, self.items(name))


def id_of(ref: str, record: Record) -> str:
    """A uuid where the class has them."""
    return str(record.get("uuid") or ref)


def link(pool: PoolRecords, cls: str, ref: object) -> str | UnsetType:
    """The id of a record; UNSET when it is not known, or the reference is to nothing."""
    record = pool.get(cls, ref)
    return UNSET if record is None else id_of(str(ref), record)


def links(pool: PoolRecords, cls: str, refs: list[Any]) -> list[str | None]:
    """The ids of records; None for those that are not known."""
    return [None if record is None else id_of(ref, record) for ref in refs for record in (pool.get(cls, ref),)]


def defined(fields: Mapping[str, Any]) -> XoObject:
    """Without the fields that are UNSET."""
    return {name: value for name, value in fields.items() if value is not UNSET}
