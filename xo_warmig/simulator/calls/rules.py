"""What a class has to say about its operations: which are listed as allowed, and why one is refused. No rule itself lives here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.database import Database

Refusal: TypeAlias = Callable[[str], XapiFailure | None]
"""Why an operation cannot be done now; None when it can."""


class Rules(NamedTuple):
    """``listed``: the operations that ``allowed_operations`` may name. ``refusals``: looks at an object once and then judges operations."""

    listed: tuple[str, ...]
    refusals: Callable[["Database", str], Refusal]


def busy(cls: str, ref: str, current: dict[str, str]) -> XapiFailure:
    """OTHER_OPERATION_IN_PROGRESS with class, object, operation and task; several are written ``{a,b}``."""
    operations, tasks = list(current.values()), list(current)
    if len(operations) == 1:
        return XapiFailure("OTHER_OPERATION_IN_PROGRESS", cls, ref, operations[0], tasks[0])
    return XapiFailure("OTHER_OPERATION_IN_PROGRESS", cls, ref, f"{{{','.join(operations)}}}", f"{{{','.join(tasks)}}}")
