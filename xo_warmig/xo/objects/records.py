"""The records of one pool that XO's objects are made from."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import UNSET, UnsetType

Record = Mapping[str, Any]
Place = tuple[str, str]  # class and reference

NULL: Final = "OpaqueRef:NULL"


def exists(ref: object) -> bool:
    """Whether a field refers to anything; old releases write "" for nothing, and lack fields."""
    return bool(ref) and ref != NULL


class PoolRecords:
    """Records by class and reference. Not to be changed but by ``put`` and ``remove``; a record itself never changes.

    It knows beside them who names a record that does not name it back.
    """

    def __init__(self, records: Mapping[str, Mapping[str, Record]] | None = None) -> None:
        self._records: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        self._vdis: dict[str, str] = {}  # reference by uuid
        self._namers: defaultdict[str, set[Place]] = defaultdict(set)
        for cls, some in (records or {}).items():
            for ref, record in some.items():
                self.put(cls, ref, record)

    def put(self, cls: str, ref: str, record: Record) -> None:
        """A record that is new, or not as it was."""
        self.remove(cls, ref)
        self._records[cls][ref] = record
        if cls == "VDI":
            self._vdis[record["uuid"]] = ref
        for name in _named_in(cls, record):
            self._namers[name].add((cls, ref))

    def remove(self, cls: str, ref: str) -> None:
        """A record that is gone; one that never was is no error."""
        record = self._records[cls].pop(ref, None)
        if record is None:
            return
        if cls == "VDI":
            self._vdis.pop(record["uuid"], None)
        for name in _named_in(cls, record):
            self._namers[name].discard((cls, ref))
            if not self._namers[name]:
                del self._namers[name]

    def get(self, cls: str, ref: object) -> Record | None:
        """None when there is no such record, or the reference is to nothing."""
        return self._records[cls].get(ref) if isinstance(ref, str) and cls in self._records else None

    def all_of(self, cls: str) -> Mapping[str, Record]:
        """Every record of a class, by reference."""
        return self._records.get(cls, {})

    def vdi(self, uuid: object) -> Record | None:
        """A VDI by its uuid."""
        return self.get("VDI", self._vdis.get(uuid)) if isinstance(uuid, str) else None

    def find(self, ref: str) -> Record | None:
        """A record of whatever class: references are unique within a pool."""
        return next((some[ref] for some in self._records.values() if ref in some), None)

    def namers(self, name: str) -> frozenset[Place]:
        """Who names this record, which does not say so itself: metrics and tasks by reference, the parent of a VDI by uuid."""
        return frozenset(self._namers.get(name, ()))

    @property
    def pool(self) -> Record:
        """The pool's own record; empty until it is known."""
        return next(iter(self._records["pool"].values()), {})

    @property
    def id(self) -> str | UnsetType:
        """XO's id of the pool."""
        uuid: str | UnsetType = self.pool.get("uuid", UNSET)
        return uuid

    @property
    def master(self) -> Record:
        """The record of the pool's master; empty when it is not known."""
        return self.get("host", self.pool.get("master")) or {}


def _named_in(cls: str, record: Record) -> Iterator[str]:
    match cls:
        case "VM":
            yield from (record[field] for field in ("metrics", "guest_metrics") if exists(record.get(field)))
            yield from record.get("current_operations", ())
        case "host" | "PIF" if exists(record.get("metrics")):
            yield record["metrics"]
        case "VDI" if parent := record.get("sm_config", {}).get("vhd-parent"):
            yield parent
