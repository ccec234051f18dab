"""What passes by itself and what does not, as a table."""

import pytest

from xo_warmig.errors import (
    FormatError,
    NotEnoughSpace,
    PoolError,
    PoolUnreachable,
    SafetyError,
    TransferError,
    TransferStalled,
    WarmigError,
)
from xo_warmig.replication.retries import back_off_seconds, is_away, is_outcome_lost, is_temporary, may_pass


def refused(code: str) -> PoolError:
    return PoolError("no", code=code)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (PoolUnreachable("away"), True),
        (refused("OTHER_OPERATION_IN_PROGRESS"), True),
        (refused("VDI_IN_USE"), True),
        (refused("TASK_LOST"), True),
        (refused("SR_BACKEND_FAILURE_44"), False),
        (refused("RBAC_PERMISSION_DENIED"), False),
        (TransferError("cut"), True),
        (TransferStalled("nothing comes"), True),
        (TransferError("cut", code="HOST_UNREACHABLE"), True),
        (TransferError("full", code="SR_BACKEND_FAILURE_44"), False),
        (TransferError("other", code="WRONG_EXPORT"), False),
        (FormatError("no VHD"), False),
        (SafetyError("R3"), False),
        (NotEnoughSpace("full"), False),
    ],
)
def test_a_copy_is_worth_another_try(error: WarmigError, passes: bool) -> None:
    """Where what broke it may be over by then."""
    assert may_pass(error) is passes


def test_refusals_of_the_three_kinds() -> None:
    """A pool that is away is no refusal; a lost outcome is neither temporary nor a refusal to believe."""
    away, busy, lost, no = (
        PoolUnreachable("away"),
        refused("VDI_IN_USE"),
        refused("TASK_LOST"),
        refused("VM_IS_PROTECTED"),
    )
    assert [is_temporary(each) for each in (away, busy, lost, no)] == [False, True, False, False]
    assert [is_outcome_lost(each) for each in (away, busy, lost, no)] == [False, False, True, False]
    assert [is_away(each) for each in (away, busy, lost, no)] == [True, False, False, False]


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1.0), (2, 2.0), (4, 8.0), (6, 30.0), (60, 30.0)])
def test_the_wait_doubles_to_a_limit(attempt: int, seconds: float) -> None:
    """With a fifth of chance to either side, so that many do not come at once."""
    waits = [back_off_seconds(attempt, first=1.0, longest=30.0) for _ in range(50)]
    assert all(0.8 * seconds <= each <= 1.2 * seconds for each in waits)
    assert len(set(waits)) > 1
