"""Every error that xo_warmig raises on purpose.

::

    WarmigError
    ├── FormatError            bytes that are not what their format says
    ├── InvalidRequest         the caller asked for something that cannot be done
    │   ├── NoSuchObject
    │   ├── IncorrectState
    │   ├── ForbiddenOperation
    │   └── NotEnoughSpace
    ├── PoolError              a pool refused or failed a call
    │   └── PoolUnreachable
    ├── TransferError          a disk transfer broke
    │   └── TransferStalled
    ├── SafetyError            going on could lose data; the message says which rule forbids it
    └── Cancelled              somebody asked for the migration to stop

Each carries a stable ``code`` for programs, ``evidence`` (what was seen, JSON values only) and ``remedy`` (one sentence that says
what to do). ``retryable`` says whether the same thing may succeed later without anybody changing anything.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class WarmigError(Exception):
    """The root of the tree. ``str(error)`` is one sentence fit for a person."""

    default_code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, code: str | None = None, evidence: Mapping[str, Any] | None = None, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.evidence: dict[str, Any] = dict(evidence or {})
        self.remedy = remedy

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON values, as it is stored in events and sent to clients."""
        return {"code": self.code, "message": self.message, "evidence": self.evidence, "remedy": self.remedy}


class FormatError(WarmigError):
    """Bytes that are not what their format says."""

    default_code = "BAD_FORMAT"


class InvalidRequest(WarmigError):
    """The caller asked for something that cannot be done. Nothing was changed."""

    default_code = "INVALID_REQUEST"


class NoSuchObject(InvalidRequest):
    """An object named by the caller is not known. ``evidence``: ``id`` and, where it is known, ``type``."""

    default_code = "NO_SUCH_OBJECT"


class IncorrectState(InvalidRequest):
    """The object is in another state than the call needs. ``evidence``: object, property, actual, expected."""

    default_code = "INCORRECT_STATE"


class ForbiddenOperation(InvalidRequest):
    """Something else holds the object. ``evidence``: operation and reason."""

    default_code = "FORBIDDEN_OPERATION"


class NotEnoughSpace(InvalidRequest):
    """A storage repository lacks space. ``evidence``: sr, needed and free bytes."""

    default_code = "NO_SPACE"


class PoolError(WarmigError):
    """A pool refused or failed a call. ``evidence``: ``pool``, ``call``, ``xapi`` (code and its parameters)."""

    default_code = "POOL_ERROR"


class PoolUnreachable(PoolError):
    """A pool does not answer. ``evidence``: ``pool`` and ``host``."""

    default_code = "POOL_UNREACHABLE"
    retryable = True


class TransferError(WarmigError):
    """A disk transfer broke. ``evidence``: ``disk``, ``side`` (source or target) and ``bytes`` done."""

    default_code = "TRANSFER_FAILED"
    retryable = True


class TransferStalled(TransferError):
    """No byte moved for longer than allowed."""

    default_code = "TRANSFER_STALLED"


class SafetyError(WarmigError):
    """Going on could lose data. ``evidence`` names the rule of docs/guarantees.md and what was seen."""

    default_code = "UNSAFE"


class Cancelled(WarmigError):
    """Somebody asked for the migration to stop."""

    default_code = "CANCELLED"
