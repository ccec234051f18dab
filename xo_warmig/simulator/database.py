"""The objects of a pool: records by class and reference, the relations between them, and what changed since when.

Values are plain Python ones (a datetime is XAPI's text, a reference a string). Rows are never changed in place: a change makes a
new one, so a row that was taken out stays as it was. Who may set what is decided elsewhere.
"""

import random
import threading
import uuid as uuids
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datamodel import NULL as NULL
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.history import Deleted, History
from xo_warmig.simulator.relations import RELATIONS

Row: TypeAlias = Mapping[str, Any]
Journal: TypeAlias = Callable[[str, str, str, Row], None]
"""Told of each change: ``create``, ``set`` or ``delete``, class, reference and the fields as they are now."""

TRANSIENT = frozenset({"session", "task"})
"""Classes that do not outlive the toolstack, and whose changes are bookkeeping rather than effects of a call."""


class Database:
    """Every object of one pool. All methods are safe from any thread; take ``lock`` to make several of them one."""

    def __init__(self, randomness: random.Random | None = None) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.history = History()
        self.journal: Journal | None = None
        self.watchers: list[Journal] = []
        self.randomness = randomness or random.SystemRandom()
        self._model = datamodel.load()
        self._tables: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self._model.classes}
        self._uuids: dict[str, dict[str, str]] = {name: {} for name in self._model.classes}
        self._blank = {name: _blank(name) for name in self._model.classes}
        self._mine = threading.local()

    @property
    def classes(self) -> list[str]:
        """Names of all classes, whether or not there are objects of them."""
        return list(self._tables)

    @property
    def generation(self) -> int:
        """Grows with each change."""
        return self.history.generation

    def create(self, cls: str, /, **fields: Any) -> str:
        """A new object, every field of the datamodel filled; ``ref`` among the fields gives its reference, which is returned."""
        given: str | None = fields.pop("ref", None)
        self._check_names(cls, fields)
        with self.changed:
            ref = given or f"OpaqueRef:{self.new_uuid()}"
            row = {name: _copy(value) for name, value in self._blank[cls].items()}
            row |= {name: _copy(value) for name, value in fields.items()}
            row["uuid"] = fields.get("uuid") or self.new_uuid()
            self._tables[cls][ref] = row
            self._uuids[cls][row["uuid"]] = ref
            self._note("create", cls, ref, row)
            for field in RELATIONS.get(cls, {}):
                self._link(cls, ref, field, row[field])
        return ref

    def get(self, cls: str, ref: str) -> dict[str, Any]:
        """A copy of the record. HANDLE_INVALID when there is none."""
        return {name: _copy(value) for name, value in self.row(cls, ref).items()}

    def row(self, cls: str, ref: str) -> Row:
        """The record itself, only to be read."""
        try:
            return self._tables[cls][ref]
        except KeyError:
            raise XapiFailure("HANDLE_INVALID", cls, ref) from None

    def rows(self, cls: str) -> Mapping[str, Row]:
        """All records of a class by reference as they are now, only to be read."""
        with self.lock:
            return dict(self._tables[cls])

    def field(self, cls: str, ref: str, name: str) -> Any:
        return _copy(self.row(cls, ref)[name])

    def set(self, cls: str, ref: str, /, **fields: Any) -> None:
        """Sets fields. Values that are already there change nothing and make no event."""
        self._check_names(cls, fields)
        with self.changed:
            row = dict(self.row(cls, ref))
            new = {name: _copy(value) for name, value in fields.items() if row[name] != value}
            if not new:
                return
            old = {name: row[name] for name in new}
            row |= new
            self._tables[cls][ref] = row
            if "uuid" in new:
                self._uuids[cls].pop(old["uuid"], None)
                self._uuids[cls][new["uuid"]] = ref
            self._note("set", cls, ref, new)
            self._relink(cls, ref, old, new)

    def update_map(self, cls: str, ref: str, name: str, /, **entries: str | None) -> None:
        """Puts entries into a map field; None takes one out."""
        with self.lock:
            value = {**self.row(cls, ref)[name], **entries}
            self.set(cls, ref, **{name: {key: text for key, text in value.items() if text is not None}})

    def delete(self, cls: str, ref: str) -> None:
        """Takes an object away. References to it dangle, as they do in xapi. HANDLE_INVALID when there is none."""
        with self.changed:
            row = self.row(cls, ref)
            del self._tables[cls][ref]
            self._uuids[cls].pop(row["uuid"], None)
            self._note("delete", cls, ref, {})
            for field in RELATIONS.get(cls, {}):
                self._unlink(cls, ref, field, row[field])

    def touch(self, cls: str, ref: str) -> int:
        """Makes an event for an object that did not change. Gives the generation after it."""
        with self.changed:
            self.row(cls, ref)
            self.history.modified(cls, ref)
            self.changed.notify_all()
            return self.generation

    def refs(self, cls: str) -> list[str]:
        with self.lock:
            return list(self._tables[cls])

    def exists(self, cls: str, ref: str) -> bool:
        return ref in self._tables[cls]

    def count(self, cls: str) -> int:
        return len(self._tables[cls])

    def find(self, cls: str, /, **equal: Any) -> list[str]:
        """References of the objects whose fields have these values."""
        wanted = equal.items()
        return [ref for ref, row in self.rows(cls).items() if all(row[name] == value for name, value in wanted)]

    def by_uuid(self, cls: str, uuid: str) -> str:
        """UUID_INVALID when there is none."""
        try:
            return self._uuids[cls][uuid]
        except KeyError:
            raise XapiFailure("UUID_INVALID", cls, uuid) from None

    def resolve(self, cls: str, ref_or_uuid: str) -> str | None:
        """The reference of an object that is named by reference or uuid."""
        return ref_or_uuid if self.exists(cls, ref_or_uuid) else self._uuids[cls].get(ref_or_uuid)

    def new_uuid(self) -> str:
        return str(uuids.UUID(int=self.randomness.getrandbits(128), version=4))

    def deleted_since(self, cls: str, generation: int) -> list[Deleted]:
        with self.lock:
            return self.history.deleted_since(cls, generation)

    def changes_by_this_thread(self) -> int:
        """Grows with each change that the calling thread makes to anything but sessions and tasks."""
        return getattr(self._mine, "changes", 0)

    def _note(self, kind: str, cls: str, ref: str, fields: Row) -> None:
        match kind:
            case "create":
                self.history.created(cls, ref)
            case "set":
                self.history.modified(cls, ref)
            case "delete":
                self.history.deleted(cls, ref)
        if cls not in TRANSIENT:
            self._mine.changes = self.changes_by_this_thread() + 1
            if self.journal is not None:
                self.journal(kind, cls, ref, fields)
            for watcher in self.watchers:
                watcher(kind, cls, ref, fields)
        self.changed.notify_all()

    def _relink(self, cls: str, ref: str, old: Row, new: Row) -> None:
        for field in RELATIONS.get(cls, {}):
            if field in new:
                self._unlink(cls, ref, field, old[field])
                self._link(cls, ref, field, new[field])

    def _link(self, cls: str, ref: str, field: str, target: str) -> None:
        back = RELATIONS[cls][field]
        row = self._tables[back.cls].get(target)
        if row is not None and ref not in row[back.field]:
            self.set(back.cls, target, **{back.field: [*row[back.field], ref]})

    def _unlink(self, cls: str, ref: str, field: str, target: str) -> None:
        back = RELATIONS[cls][field]
        row = self._tables[back.cls].get(target)
        if row is not None and ref in row[back.field]:
            self.set(back.cls, target, **{back.field: [other for other in row[back.field] if other != ref]})

    def _check_names(self, cls: str, fields: Row) -> None:
        """A field that the datamodel lacks is a mistake of this program, not of a client."""
        unknown = fields.keys() - self._blank[cls].keys()
        if unknown:
            raise LookupError(f"{cls} has no field {', '.join(sorted(unknown))}")


def _blank(cls: str) -> dict[str, Any]:
    """A record with every field at its default. Classes without a uuid on the wire have one here all the same."""
    model = datamodel.load()
    return {"uuid": ""} | {f.name: datamodel.default_of(f, model.enums) for f in model.classes[cls].fields.values()}


def _copy(value: Any) -> Any:
    """A copy that shares nothing which could be changed. XAPI's values nest one level deep, but for a map of sets."""
    if type(value) is list:
        return value.copy()
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return value
