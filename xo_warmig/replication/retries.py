"""What passes by itself and what does not: the one place where that is told apart, and how long to wait before the next try."""

import random

from xo_warmig.errors import FormatError, PoolError, PoolUnreachable, TransferError, WarmigError

# What XAPI refuses now and may grant a moment later: a control domain that has yet to let go of a disk, another's operation.
_TEMPORARY_CODES = frozenset(
    {
        "HOST_STILL_BOOTING",
        "INTERNAL_ERROR",
        "OTHER_OPERATION_IN_PROGRESS",
        "SESSION_INVALID",
        "SR_BACKEND_FAILURE_46",
        "TOO_MANY_PENDING_TASKS",
        "VBD_IN_USE",
        "VDI_IN_USE",
    }
)
# Transfers that break in these ways break again.
_LASTING_TRANSFER_CODES = frozenset(
    {
        "DISK_RESIZED",
        "DISK_STILL_ATTACHED",
        "HTTP_403",
        "NO_DIFFERENCES_EXPORTED",
        "PENDING_NOT_COVERED",
        "RBAC_PERMISSION_DENIED",
        "SR_BACKEND_FAILURE_44",
        "VDI_TOO_LARGE",
        "WRONG_EXPORT",
    }
)


def is_temporary(error: PoolError) -> bool:
    """Whether the same call may succeed soon without anybody doing anything."""
    return not isinstance(error, PoolUnreachable) and error.code in _TEMPORARY_CODES


def is_outcome_lost(error: PoolError) -> bool:
    """Whether the pool took the call and then forgot it, so that it may have come true or may yet do so."""
    return error.code == "TASK_LOST"


def is_away(error: WarmigError) -> bool:
    """Whether a pool or its host does not answer, so that it may be down, or the way to it."""
    return isinstance(error, PoolUnreachable) or error.code == "HOST_UNREACHABLE"


def may_pass(error: WarmigError) -> bool:
    """Whether a copy that broke with this is worth another try."""
    if isinstance(error, FormatError):
        return False
    if isinstance(error, TransferError):
        return error.code not in _LASTING_TRANSFER_CODES
    if isinstance(error, PoolError):
        return isinstance(error, PoolUnreachable) or is_temporary(error) or is_outcome_lost(error)
    return False


def back_off_seconds(attempt: int, *, first: float, longest: float) -> float:
    """How long to wait after failure number ``attempt`` (from 1): doubling, with some chance, to ``longest``."""
    return float(min(longest, first * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2))
