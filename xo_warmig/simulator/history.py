"""What changed when, for events: the generation in which each object came, last changed or went. The objects are elsewhere."""

from collections import deque
from typing import NamedTuple

KEPT = 5000
"""Deletions remembered for each class. A token older than what was forgotten has lost events."""


class Change(NamedTuple):
    ref: str
    created: int
    modified: int


class Deleted(NamedTuple):
    ref: str
    created: int
    deleted: int


class _Kind:
    """The history of one class. ``stamps`` is kept in order of modification."""

    def __init__(self) -> None:
        self.stamps: dict[str, Change] = {}
        self.deleted: deque[Deleted] = deque()
        self.forgotten = 0
        self.last = 0


class History:
    """Generations of all objects. Not locked: the database calls it under its own lock."""

    def __init__(self) -> None:
        self.generation = 0
        self.floor = 0
        self._kinds: dict[str, _Kind] = {}

    def start_at(self, generation: int) -> None:
        """After a restart: nothing before this generation is known any more."""
        self.generation = self.floor = generation

    def created(self, cls: str, ref: str) -> None:
        kind = self._step(cls)
        kind.stamps[ref] = Change(ref, self.generation, self.generation)

    def modified(self, cls: str, ref: str) -> None:
        kind = self._step(cls)
        old = kind.stamps.pop(ref)
        kind.stamps[ref] = Change(ref, old.created, self.generation)

    def deleted(self, cls: str, ref: str) -> None:
        kind = self._step(cls)
        old = kind.stamps.pop(ref)
        kind.deleted.append(Deleted(ref, old.created, self.generation))
        if len(kind.deleted) > KEPT:
            kind.forgotten = kind.deleted.popleft().deleted

    def changed_since(self, cls: str, generation: int) -> list[Change]:
        """Objects that came or changed after a generation, oldest change first."""
        changes: list[Change] = []
        kind = self._kinds.get(cls)
        if kind is None:
            return changes
        for change in reversed(kind.stamps.values()):
            if change.modified <= generation:
                break
            changes.append(change)
        changes.reverse()
        return changes

    def deleted_since(self, cls: str, generation: int) -> list[Deleted]:
        """Objects that went after a generation, in that order."""
        kind = self._kinds.get(cls)
        gone: list[Deleted] = []
        for deleted in reversed(kind.deleted if kind is not None else ()):
            if deleted.deleted <= generation:
                break
            gone.append(deleted)
        gone.reverse()
        return gone

    def last_change(self, cls: str) -> int:
        """The generation of the last thing that happened to any object of a class."""
        kind = self._kinds.get(cls)
        return kind.last if kind is not None else 0

    def remembers(self, cls: str, generation: int) -> bool:
        """Whether every deletion after a generation is still known."""
        kind = self._kinds.get(cls)
        return generation >= self.floor and (kind is None or generation >= kind.forgotten)

    def _step(self, cls: str) -> _Kind:
        self.generation += 1
        kind = self._kinds.setdefault(cls, _Kind())
        kind.last = self.generation
        return kind
