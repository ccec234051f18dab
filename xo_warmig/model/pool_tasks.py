"""A migration as a task on its pools: the words on it, by which it is known again, and what a look at it may find."""

import re
from enum import StrEnum
from typing import Final

import msgspec

# What a pool that once said so of a call will go on saying.
REFUSED_FOR_GOOD: Final = frozenset({"MESSAGE_METHOD_UNKNOWN", "RBAC_PERMISSION_DENIED"})
_DESCRIPTION = re.compile(r"xo_warmig migration (?P<migration>\S+): ")


class PoolTask(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be on show on one pool. ``vm``: the uuid of the one there that the task is about, "" while there is none."""

    migration: str
    label: str
    description: str
    vm: str


class TaskSeen(StrEnum):
    """What a look at a task found."""

    RUNNING = "running"
    CANCEL_ASKED = "cancel asked"
    GONE = "gone"  # with the toolstack that had it, or ended by somebody else


class TaskEnd(StrEnum):
    """How a task ends, in XAPI's words."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


def label_of(vm_name: str) -> str:
    """The name of a migration's task, wherever it is shown."""
    return f"Warm migration of {vm_name}"


def description_of(migration: str, source_pool_name: str, target_pool_name: str) -> str:
    """With the migration's id in front: what is made together with a task is all that finds it again after a crash."""
    return f"xo_warmig migration {migration}: from {source_pool_name} to {target_pool_name}"


def migration_of(description: str) -> str | None:
    """The migration that a task with this description shows; None for any other task."""
    found = _DESCRIPTION.match(description)
    return found["migration"] if found else None
